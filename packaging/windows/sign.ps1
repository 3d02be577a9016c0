# Signs one file with the certificate whose thumbprint is in CELLSEG_SIGN_THUMBPRINT; without one
# it does nothing.    sign.ps1 FILE
# CELLSEG_SIGN_TIMESTAMP is the address of the certificate authority's time stamp service.
param([Parameter(Mandatory = $true)][string]$File)
$ErrorActionPreference = "Stop"
if (-not $env:CELLSEG_SIGN_THUMBPRINT) { exit 0 }
$arguments = @("sign", "/sha1", $env:CELLSEG_SIGN_THUMBPRINT, "/fd", "sha256", "/d", "CellSeg")
if ($env:CELLSEG_SIGN_TIMESTAMP) { $arguments += @("/tr", $env:CELLSEG_SIGN_TIMESTAMP, "/td", "sha256") }
& signtool @arguments $File
exit $LASTEXITCODE
