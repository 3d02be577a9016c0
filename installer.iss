; Windows installer of CellSeg (Inno Setup 6.4 or later). It packs the frozen program, a folder
; with cellseg-app.exe (the window) and cellseg.exe (the command line) in it:
;   ISCC /DAppVersion=0.1.0 /DPayload=dist\CellSeg installer.iss
; packaging\windows\build.ps1 does that; packaging/windows/test_setup.sh tries it under Wine.
; Without questions: CellSeg-...-setup.exe /VERYSILENT /SUPPRESSMSGBOXES /NORESTART [/ALLUSERS]
;   [/MERGETASKS="!desktopicon,!assoc"] [/DIR=...] [/LOG=...]; unins000.exe /VERYSILENT [/PURGE]
;
; Signing: with a certificate, build.ps1 gives /DSignTool=NAME; where signing needs a second
; machine, /DSign stops for the uninstaller to be signed in OutDir\signed, and is run again.
#ifndef AppVersion
  #error Give the version: ISCC /DAppVersion=X.Y.Z installer.iss
#endif
#ifndef Payload
  #define Payload "dist\CellSeg"
#endif
#ifndef OutDir
  #define OutDir "dist"
#endif
#ifndef Flavour
  #define Flavour "cpu"
#endif
#define AppName "CellSeg"
#define AppExe "cellseg-app.exe"
#define AppPublisher "The CellSeg authors"
#define ProgId "CellSeg"

[Setup]
AppId={{0B0B5C4F-3C0E-4E0B-9C57-2D7C1B6A9F42}
AppName={#AppName}
AppVersion={#AppVersion}
AppVerName={#AppName} {#AppVersion}
AppPublisher={#AppPublisher}
VersionInfoVersion={#AppVersion}
VersionInfoProductVersion={#AppVersion}
VersionInfoDescription={#AppName} setup
; {autopf} for one user needs a known folder that Wine 8 lacks; this gives the same path
DefaultDirName={code:ProgramsDir}\{#AppName}
DefaultGroupName={#AppName}
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog commandline
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0
OutputDir={#OutDir}
OutputBaseFilename=CellSeg-{#AppVersion}-win64-{#Flavour}-setup
SetupIconFile=resources\icons\cellseg.ico
UninstallDisplayIcon={app}\{#AppExe}
UninstallDisplayName={#AppName}
LicenseFile=LICENSE
WizardStyle=modern
#ifdef Quick
Compression=lzma2/fast
#else
Compression=lzma2/max
#endif
LZMAUseSeparateProcess=yes
LZMANumBlockThreads=2
SolidCompression=yes
ChangesAssociations=yes
CloseApplications=yes
RestartApplications=no
SetupLogging=yes
AppMutex=CellSegMutex
#ifdef SignTool
SignTool={#SignTool}
SignedUninstaller=yes
#endif
#ifdef Sign
SignedUninstallerDir={#OutDir}\signed
SignedUninstaller=yes
#endif

[Languages]
Name: "en"; MessagesFile: "compiler:Default.isl"
Name: "de"; MessagesFile: "compiler:Languages\German.isl"
Name: "fr"; MessagesFile: "compiler:Languages\French.isl"

[CustomMessages]
en.FileTypes=File types:
de.FileTypes=Dateitypen:
fr.FileTypes=Types de fichiers :
en.OfferForImages=Offer {#AppName} in "Open with" for TIFF and OME-TIFF volumes
de.OfferForImages={#AppName} unter „Öffnen mit“ für TIFF- und OME-TIFF-Volumen anbieten
fr.OfferForImages=Proposer {#AppName} dans « Ouvrir avec » pour les volumes TIFF et OME-TIFF
en.RemoveUserData=Remove settings, logs and imported weights of {#AppName} too?
de.RemoveUserData=Auch Einstellungen, Protokolle und importierte Gewichte von {#AppName} entfernen?
fr.RemoveUserData=Supprimer aussi les paramètres, les journaux et les poids importés de {#AppName} ?

[Tasks]
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; GroupDescription: "{cm:AdditionalIcons}"
Name: "assoc"; Description: "{cm:OfferForImages}"; GroupDescription: "{cm:FileTypes}"

; Nothing of an older version may stay: a library left over would be loaded by the new one.
[InstallDelete]
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "{#Payload}\{#AppExe}"; DestDir: "{app}"; Flags: ignoreversion
Source: "{#Payload}\*"; Excludes: "\{#AppExe}"; DestDir: "{app}"; Flags: ignoreversion recursesubdirs createallsubdirs

[Icons]
Name: "{autoprograms}\{#AppName}"; Filename: "{app}\{#AppExe}"; WorkingDir: "{app}"; AppUserModelID: "CellSeg"
Name: "{autodesktop}\{#AppName}"; Filename: "{app}\{#AppExe}"; WorkingDir: "{app}"; Tasks: desktopicon; AppUserModelID: "CellSeg"

[Registry]
Root: HKA; Subkey: "Software\Classes\{#ProgId}.Image"; ValueType: string; ValueData: "Microscopy image stack"; Flags: uninsdeletekey; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\{#ProgId}.Image\DefaultIcon"; ValueType: string; ValueData: "{app}\{#AppExe},0"; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\{#ProgId}.Image\shell\open\command"; ValueType: string; ValueData: """{app}\{#AppExe}"" ""%1"""; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\.tif\OpenWithProgids"; ValueType: string; ValueName: "{#ProgId}.Image"; ValueData: ""; Flags: uninsdeletevalue; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\.tiff\OpenWithProgids"; ValueType: string; ValueName: "{#ProgId}.Image"; ValueData: ""; Flags: uninsdeletevalue; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\Applications\{#AppExe}"; ValueType: string; ValueName: "FriendlyAppName"; ValueData: "{#AppName}"; Flags: uninsdeletekey; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\Applications\{#AppExe}\shell\open\command"; ValueType: string; ValueData: """{app}\{#AppExe}"" ""%1"""; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\Applications\{#AppExe}\SupportedTypes"; ValueType: string; ValueName: ".tif"; ValueData: ""; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\Applications\{#AppExe}\SupportedTypes"; ValueType: string; ValueName: ".tiff"; ValueData: ""; Tasks: assoc

[Run]
Filename: "{app}\{#AppExe}"; Description: "{cm:LaunchProgram,{#AppName}}"; Flags: nowait postinstall skipifsilent

[UninstallDelete]
Type: filesandordirs; Name: "{app}\_internal\__pycache__"
Type: dirifempty; Name: "{app}"

[Code]
function ProgramsDir(Param: String): String;
begin
  if IsAdminInstallMode then Result := ExpandConstant('{commonpf}')
  else Result := ExpandConstant('{localappdata}\Programs');
end;

function HasCmdSwitch(S: String): Boolean;
var I: Integer;
begin
  Result := False;
  for I := 1 to ParamCount do
    if CompareText(ParamStr(I), S) = 0 then Result := True;
end;

procedure CurUninstallStepChanged(Step: TUninstallStep);
var D: String;
begin
  if Step = usPostUninstall then begin
    D := ExpandConstant('{localappdata}\CellSeg');
    if DirExists(D) then
      if HasCmdSwitch('/PURGE') or ((not UninstallSilent) and
        (MsgBox(CustomMessage('RemoveUserData'), mbConfirmation, MB_YESNO or MB_DEFBUTTON2) = IDYES)) then
        DelTree(D, True, True, True);
  end;
end;
