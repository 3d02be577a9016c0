#!/bin/bash
# Runs under Wine in the folder of the setup programs: installs, looks, starts, upgrades, uninstalls.
# Usage: check_setup.sh MODE OLD_SETUP.exe NEW_SETUP.exe NEW_VERSION      MODE: /CURRENTUSER or /ALLUSERS
set -eu
mode="$1" old="$2" new="$3" new_version="$4"
drive="$WINEPREFIX/drive_c"
user="$drive/users/root"
if [ "$mode" = /ALLUSERS ]; then
    app="$drive/Program Files/CellSeg" hive=HKLM
    desktop="$drive/users/Public/Desktop" menu="$drive/ProgramData/Microsoft/Windows/Start Menu/Programs"
else
    app="$user/AppData/Local/Programs/CellSeg" hive=HKCU
    desktop="$user/Desktop" menu="$user/AppData/Roaming/Microsoft/Windows/Start Menu/Programs"
fi
classes="$hive\\Software\\Classes"
uninstall_key="$hive\\Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall"
data="$user/AppData/Local/CellSeg"
passed=0

ok() { passed=$((passed + 1)); echo "ok     $1"; }
fail() { echo "FAILED $1"; exit 1; }
is_there() { if [ -e "$1" ]; then ok "there: ${1#"$drive"/}"; else fail "missing: ${1#"$drive"/}"; fi; }
# Uninstallers go on in a copy of themselves after they have returned.
is_gone() {
    for _ in $(seq 360); do [ -e "$1" ] || break; sleep 0.5; done
    if [ ! -e "$1" ]; then ok "gone: ${1#"$drive"/}"; else fail "still there: ${1#"$drive"/}"; fi
}
# 64-bit programs are entered in the 64-bit part of the registry.
registered() { wine reg query "$1" "${@:2}" /reg:64 2>/dev/null | tr -d '\r'; }
install_silently() {
    wine "$1" /VERYSILENT /SUPPRESSMSGBOXES /NORESTART "$mode" /LANG=en '/LOG=C:\setup.log' "${@:2}" ||
        { tail -5 "$drive/setup.log"; fail "$1 $mode"; }
}
uninstall() { wine "$app/unins000.exe" /VERYSILENT /SUPPRESSMSGBOXES /NORESTART "$@"; }
launched="$drive/$(wine cmd /c 'echo %TEMP%' | tr -d '\r' | cut -c4- | tr '\\' /)/launched.log"
rm -f "$launched"
was_launched() {
    for _ in $(seq 240); do grep -qsF "$1" "$launched" && return; sleep 0.5; done
    fail "never started: $1"
}

echo "-- $old $mode"
install_silently "$old"
for file in cellseg-app.exe cellseg.exe unins000.exe; do is_there "$app/$file"; done
diff -r payload/_internal "$app/_internal" >/dev/null || fail "files differ from the payload"
ok "every file is the payload's"
is_there "$desktop/CellSeg.lnk"
is_there "$menu/CellSeg.lnk"
wine start /wait /unix "$desktop/CellSeg.lnk" --from-desktop
was_launched "cellseg-app.exe|--from-desktop"
ok "started by its desktop icon"
registered "$classes\\CellSeg.Image\\shell\\open\\command" | grep -qF 'cellseg-app.exe" "%1"' ||
    fail "no command for images"
for suffix in .tif .tiff; do
    registered "$classes\\$suffix\\OpenWithProgids" | grep -q CellSeg.Image || fail "not offered for $suffix"
    if registered "$classes\\$suffix" /ve | grep -q CellSeg; then fail "took the default of $suffix"; fi
done
ok "offered for .tif and .tiff, default untouched"

echo "-- $new over it"
echo old >"$app/_internal/left_over.pyd"
mkdir -p "$data" && echo mine >"$data/window.json"
install_silently "$new"
is_gone "$app/_internal/left_over.pyd"
is_there "$app/cellseg-app.exe"
entries="$(registered "$uninstall_key" /s)"
[ "$(grep -c 'DisplayName.*CellSeg' <<<"$entries")" = 1 ] || fail "not one entry among the programs"
grep -q "DisplayVersion.*$new_version" <<<"$entries" || fail "the entry does not tell $new_version"
ok "one entry among the programs, of version $new_version"

echo "-- uninstalled"
uninstall
for path in "$app" "$desktop/CellSeg.lnk" "$menu/CellSeg.lnk"; do is_gone "$path"; done
if registered "$classes\\CellSeg.Image" | grep -q CellSeg; then fail "the file type is still registered"; fi
if registered "$classes\\.tif\\OpenWithProgids" | grep -q CellSeg; then fail "still offered for .tif"; fi
if registered "$uninstall_key" /s | grep -q CellSeg; then fail "still among the programs"; fi
ok "nothing left in the registry"
is_there "$data/window.json"
install_silently "$new"
uninstall /PURGE
is_gone "$data"
is_gone "$app"
echo "$mode: $passed checks"
