; Windows installer of CellSeg (Inno Setup 6.4 or later). It packs the frozen program, a folder
; with CellSeg.exe in it:
;   ISCC /DAppVersion=0.1.0 /DPayload=dist\CellSeg installer.iss
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
#define AppExe "CellSeg.exe"
#define AppPublisher "The CellSeg authors"
#define ProgId "CellSeg"

[Setup]
AppId={{0B0B5C4F-3C0E-4E0B-9C57-2D7C1B6A9F42}
AppName={#AppName}
AppVersion={#AppVersion}
AppVerName={#AppName} {#AppVersion}
AppPublisher={#AppPublisher}
VersionInfoVersion={#AppVersion}
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
Compression=lzma2/max
LZMAUseSeparateProcess=yes
LZMANumBlockThreads=2
SolidCompression=yes
ChangesAssociations=yes
CloseApplications=yes
RestartApplications=no
SetupLogging=yes
AppMutex=CellSegMutex
#ifdef Sign
SignedUninstallerDir={#OutDir}\signed
SignedUninstaller=yes
#endif

[Languages]
Name: "en"; MessagesFile: "compiler:Default.isl"
Name: "de"; MessagesFile: "compiler:Languages\German.isl"
Name: "fr"; MessagesFile: "compiler:Languages\French.isl"

[Tasks]
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; GroupDescription: "{cm:AdditionalIcons}"
Name: "assoc"; Description: "Offer {#AppName} in Open with... for TIFF and OME-TIFF stacks"; GroupDescription: "File types:"

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
Root: HKA; Subkey: "Software\Classes\{#ProgId}.Image\shell\open\command"; ValueType: string; ValueData: """{app}\{#AppExe}"" ""%1"""; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\.tif\OpenWithProgids"; ValueType: string; ValueName: "{#ProgId}.Image"; ValueData: ""; Flags: uninsdeletevalue; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\.tiff\OpenWithProgids"; ValueType: string; ValueName: "{#ProgId}.Image"; ValueData: ""; Flags: uninsdeletevalue; Tasks: assoc
Root: HKA; Subkey: "Software\Classes\Applications\{#AppExe}\SupportedTypes"; ValueType: string; ValueName: ".tif"; ValueData: ""; Flags: uninsdeletekey; Tasks: assoc

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
        (MsgBox('Remove settings, logs and downloaded models too?', mbConfirmation, MB_YESNO or MB_DEFBUTTON2) = IDYES)) then
        DelTree(D, True, True, True);
  end;
end;
