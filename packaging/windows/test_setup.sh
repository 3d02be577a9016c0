#!/usr/bin/env bash
# Compiles installer.iss under Wine with a stand-in for the frozen program, and tries the setup:
# install, start, upgrade, uninstall, for one user and for all; the wizard is photographed.
# Usage: bash packaging/windows/test_setup.sh      as root, on Debian; setup and picture go to dist
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/common.sh
. packaging/linux/clean_root.sh
here=packaging/windows
compiler_version=6.4.1
compiler_sha256=fc36b763a729c8964416552d733f4864ac4a4934d0a6569e20c2feb4c29b9684
# shellcheck disable=SC2086 # the names are meant to be split
install_debian_packages $window_packages gcc-mingw-w64-x86-64-win32 binutils-mingw-w64-x86-64
command -v npm >/dev/null || install_debian_packages npm
root="$cache/wine-root"
old_version=0.0.9

say "Wine"
require_root
key="$(debian_suite), Inno Setup $compiler_version"
if [ "$(cat "$root/complete" 2>/dev/null)" != "$key" ]; then
    install_debian_packages mmdebstrap
    rm -rf --one-file-system "$root"
    mkdir -p "$cache"
    apt-get update -qq -o Acquire::Retries=3
    # 32- and 64-bit libraries of one suite, so that their versions agree.
    mmdebstrap --quiet --aptopt='Acquire::Retries "3"' --variant=minbase --architectures=amd64,i386 \
        --include=wine,wine64,wine32:i386,fonts-wine,fonts-liberation,libfreetype6:i386 \
        "$(debian_suite)" "$root" "$(debian_sources amd64,i386)"
    inno="$(mktemp -d)"
    (cd "$inno" && npm pack --silent "innosetup@$compiler_version" >/dev/null) ||
        fail "npm could not fetch the compiler, innosetup $compiler_version."
    echo "$compiler_sha256  $inno/innosetup-$compiler_version.tgz" | sha256sum --check --quiet ||
        fail "The compiler is not the one that was tried."
    tar --extract --gzip --file "$inno/innosetup-$compiler_version.tgz" --directory "$inno"
    cp -r "$inno/package/bin" "$root/inno"
    rm -r "$inno"
    echo "$key" >"$root/complete"
fi

say "Stand-in for the frozen program"
work="$root/work"
rm -rf "$work"
mkdir -p "$work/payload/_internal/torch/lib"
cp installer.iss LICENSE "$here/check_setup.sh" "$work/"
cp -r --parents resources/icons "$work/"
cp -r --parents resources/sample resources/weights "$work/payload/_internal/"
cp "resources/icons/cellseg.ico" "$here/stand_in.c" "$work/"
for library in python311.dll torch/lib/torch_cpu.dll; do head -c 100000 /dev/zero >"$work/payload/_internal/$library"; done
sed "s/@VERSION@/$version/; s/@NUMBERS@/${version//./,},0/" "$here/stand_in.rc" >"$work/stand_in.rc"
(
    cd "$work"
    x86_64-w64-mingw32-windres stand_in.rc stand_in.o
    x86_64-w64-mingw32-gcc -O1 -s -Wall stand_in.c stand_in.o -o payload/cellseg-app.exe -mwindows
    x86_64-w64-mingw32-gcc -O1 -s -Wall stand_in.c stand_in.o -o payload/cellseg.exe -mwindows
)

screen="$(start_screen)"
trap 'kill "${screen#* }" 2>/dev/null || true' EXIT
export DISPLAY="${screen% *}"

# wine_shell COMMAND: in the Wine system, in the folder of the setup.
wine_shell() {
    in_root "$root" --net -- bash -c "export HOME=/root USER=root WINEPREFIX=/root/.wine WINEARCH=win64
        WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml= ; export WINEPREFIX WINEARCH WINEDEBUG WINEDLLOVERRIDES
        cd /work && $1"
}

say "Compiling the setup"
# A new Windows every time; Wine's own claims to be Windows 7, which the setup refuses.
rm -rf "$root/root/.wine"
wine_shell "wineboot -i && wine winecfg -v win10 && wineserver -w" >/dev/null 2>&1 || fail "Wine does not start."
for number in "$old_version" "$version"; do
    wine_shell "wine /inno/ISCC.exe /Q /DQuick /DAppVersion=$number /DPayload=payload /DOutDir=out installer.iss; code=\$?; wineserver -k; exit \$code" 2>&1 |
        tr -d '\r' | tee "$work/compiler.log"
    if grep -qi 'warning\|error' "$work/compiler.log"; then fail "The compiler of installer.iss complains."; fi
    [ -e "$work/out/CellSeg-$number-win64-cpu-setup.exe" ] || fail "There is no setup of $number."
done
mkdir -p dist/tests
old_setup="out/CellSeg-$old_version-win64-cpu-setup.exe" new_setup="out/CellSeg-$version-win64-cpu-setup.exe"
ls -l "$work/out"

say "Silent installation, upgrade and removal"
for mode in /CURRENTUSER /ALLUSERS; do
    wine_shell "bash check_setup.sh $mode $old_setup $new_setup $version; code=\$?; wineserver -k; exit \$code" \
        >"$work/checks.log" 2>&1 && done=yes || done=no
    grep -v '^$\|X connection to' "$work/checks.log"
    [ "$done" = yes ] || fail "The setup does not do what it should ($mode)."
done

say "Wizard"
wine_shell "wine $new_setup /CURRENTUSER /LANG=en ; true" >/dev/null 2>&1 &
wizard=$!
"$(venv_with installer)/bin/python" packaging/linux/photograph.py dist/tests/windows-wizard.png 90 ||
    fail "The wizard shows nothing."
wine_shell "wineserver -k" || true
wait "$wizard" || true
