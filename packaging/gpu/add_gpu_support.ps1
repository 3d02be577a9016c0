# Adds torch for NVIDIA cards to an installed CellSeg, for one user; see README.md.
#   powershell -ExecutionPolicy Bypass -File add_gpu_support.ps1 [-Backend cu126] [-Remove]
param([string]$Backend = "auto", [switch]$Remove,
    [string]$CellSeg = "$env:LOCALAPPDATA\Programs\CellSeg\cellseg.exe")
Set-StrictMode -Version Latest
$ErrorActionPreference = "Stop"
$python = "3.11"  # Of every installer of CellSeg.
$data = if ($env:CELLSEG_DATA) { $env:CELLSEG_DATA } else { "$env:LOCALAPPDATA\CellSeg" }
$pack = Join-Path $data "gpu"
if (Test-Path $pack) { Remove-Item -Recurse -Force $pack }
if ($Remove) { Write-Output "The GPU pack is removed."; exit 0 }

function Get-Engine { & $CellSeg devices --json | Select-String '"event": *"engine"' | ConvertFrom-Json }
function Invoke-Uv { & uv @args; if ($LASTEXITCODE -ne 0) { throw "uv ended with $LASTEXITCODE." } }

try {
    $torch = (Get-Engine).torch.Split("+")[0]
    Write-Output "CellSeg has torch $torch for Python $python; looking for the same for CUDA ($Backend)."
    New-Item -ItemType Directory -Force $pack | Out-Null
    $lock = Join-Path $pack "requirements.txt"
    "torch==$torch" | Out-File -Encoding ascii "$pack\wanted.txt"
    Invoke-Uv pip compile --quiet --generate-hashes --python-version $python --torch-backend $Backend --output-file $lock "$pack\wanted.txt"
    Invoke-Uv pip install --target $pack --python-version $python --torch-backend $Backend --require-hashes --only-binary :all: -r $lock
    @{ python = $python; torch = $torch } | ConvertTo-Json | Out-File -Encoding ascii "$pack\pack.json"
    if (-not (Get-Engine).folder.StartsWith($pack)) { throw "CellSeg does not take torch from the pack." }
    & $CellSeg devices
    Write-Output "The GPU pack is in $pack."
} catch {
    if (Test-Path $pack) { Remove-Item -Recurse -Force $pack }
    throw
}
