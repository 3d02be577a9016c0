# Builds the Windows setup: dist\CellSeg-VERSION-win64-cpu-setup.exe.
#   powershell -ExecutionPolicy Bypass -File packaging\windows\build.ps1 [-Flavour cuda]
# Needs 64-bit Python 3.11 or later (py or python), and Inno Setup 6.4 or later (ISCC).
# With a certificate in the environment (see sign.ps1) programs, setup and uninstaller are signed.
param([string]$Flavour = "cpu")
Set-StrictMode -Version Latest
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..\..")

function Invoke-Checked {
    param([string]$Program, [string[]]$Arguments)
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$Program ended with $LASTEXITCODE." }
}

function New-Environment {
    param([string]$Extra)
    $folder = "build\$Extra"
    if (-not (Test-Path "$folder\Scripts\python.exe")) { Invoke-Checked "python" @("-m", "venv", $folder) }
    $python = "$folder\Scripts\python.exe"
    & $python packaging\requirements.py $Extra | Out-File -Encoding ascii "build\$Extra.txt"
    # Windows wheels of torch compute on the processor; for graphics cards see packaging\gpu.
    $pip = if ($env:CELLSEG_PIP) { $env:CELLSEG_PIP.Split(" ") + @("--python", $python) }
           else { @($python, "-m", "pip", "install", "--quiet") }
    Invoke-Checked $pip[0] ($pip[1..($pip.Length - 1)] + @("-c", "constraints.txt", "-r", "build\$Extra.txt"))
    return $python
}

$version = (Select-String -Path cellseg_app\__init__.py -Pattern '__version__ = "(.*)"').Matches[0].Groups[1].Value
New-Item -ItemType Directory -Force build, dist | Out-Null
$build = New-Environment "installer"
$tools = New-Environment "licences"

Write-Output "Freezing CellSeg $version"
Invoke-Checked $build @("-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "--distpath", "dist",
    "--workpath", "build", "packaging\pyinstaller\cellseg.spec")
Invoke-Checked $tools @("packaging\licences.py", "--python", $build, "--version", $version, "dist\CellSeg")
Invoke-Checked $build @("packaging\pyinstaller\finish_bundle.py", "dist\CellSeg")

# The window has no console: its report is in a file.
Write-Output "Self-test"
$test = Start-Process -Wait -PassThru dist\CellSeg\cellseg-app.exe -ArgumentList "--self-test", "--results", "dist\tests"
Get-Content dist\tests\self-test.txt
if ($test.ExitCode -ne 0) { throw "The frozen program does not pass its self-test." }
Invoke-Checked "dist\CellSeg\cellseg.exe" @("--version")

Write-Output "Setup"
$iscc = (Get-Command ISCC -ErrorAction SilentlyContinue).Source
if (-not $iscc) { $iscc = "${env:ProgramFiles(x86)}\Inno Setup 6\ISCC.exe" }
$options = @("/Q", "/DAppVersion=$version", "/DPayload=dist\CellSeg", "/DOutDir=dist", "/DFlavour=$Flavour")
if ($env:CELLSEG_SIGN_THUMBPRINT) {
    $sign = "powershell -ExecutionPolicy Bypass -File $PSScriptRoot\sign.ps1"
    foreach ($name in "cellseg-app.exe", "cellseg.exe") {
        Invoke-Checked "powershell" @("-ExecutionPolicy", "Bypass", "-File", "$PSScriptRoot\sign.ps1", "dist\CellSeg\$name")
    }
    $options += @("/DSignTool=cellseg", "/Scellseg=$sign `$f")
} else { Write-Output "No certificate (CELLSEG_SIGN_THUMBPRINT): the setup is not signed." }
Invoke-Checked $iscc ($options + @("installer.iss"))
Get-ChildItem dist\*.exe | Format-Table Name, Length
