#!/usr/bin/env bash
# Installs the .deb and the .run in a Debian system without Python, starts each by its desktop
# entry without a network, looks at the screen, lets it test itself, and removes it again.
# Usage: bash packaging/linux/test_packages.sh      as root, after build_deb.sh and build_run.sh
# Pictures and reports go to dist/tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/common.sh
. packaging/linux/clean_root.sh
deb="dist/cellseg_${version}_amd64.deb"
archive="dist/CellSeg-$version-linux-x86_64.run"
[ -e "$deb" ] && [ -e "$archive" ] || fail "$deb or $archive is missing; build them first."
# shellcheck disable=SC2086 # the names are meant to be split
install_debian_packages $window_packages
python="$(venv_with installer)/bin/python"
results="$PWD/dist/tests"
mkdir -p "$results"

work="$(mktemp -d)"
screen="$(start_screen)"
export DISPLAY="${screen% *}"
clean_up() {
    kill "${screen#* }" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

ok() { echo "ok     $*"; }

# The command of a desktop entry, without its placeholder for files.
command_of() { sed -n 's/^Exec=//p' "$1" | sed 's/ %[fFuU]//'; }

# as_user COMMAND: in the clean system, as a plain user, without any network.
as_user() { in_root "$root" --net -- su - biologist -c "export LANG=C.UTF-8 DISPLAY=$DISPLAY QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1; $1"; }

# started_in ROOT: numbers of the processes of the window in that system, and of no other.
started_in() {
    local process
    for process in /proc/[0-9]*; do
        if [ "$(readlink "$process/root")" = "$(realpath "$1")" ] && grep -qsx cellseg-app "$process/comm"; then
            echo "${process#/proc/}"
        fi
    done
}

# try_program NAME DESKTOP_ENTRY: starts it as the file manager would for the record of a run,
# photographs it, and lets it test itself.
try_program() {
    local name="$1" command log="$root/home/biologist/.local/state/CellSeg/log/cellseg.log"
    command="$(command_of "$root/$2")"
    [ -n "$command" ] || fail "$2 names no command."
    rm -f "$log"
    as_user "$command ~/results/*.json --quit-after 600" &
    local started=$!
    for _ in $(seq 900); do
        if grep -qs "The engine is loaded" "$log"; then break; fi
        sleep 0.2
    done
    grep -qs "The engine is loaded" "$log" || fail "$command loads no engine."
    sleep 5
    "$python" packaging/linux/photograph.py "$results/$name.png" 60 ||
        fail "$command shows nothing on the screen."
    # shellcheck disable=SC2046 # they are numbers
    kill $(started_in "$root") || fail "$command ended before it was asked to."
    wait "$started" || true
    ok "$name: started by its desktop entry ($command)"
    as_user "$command --self-test --results ~/tested-$name" || fail "$name does not pass its self-test."
    cp "$root/home/biologist/tested-$name/self-test.txt" "$results/$name-self-test.txt"
    cp "$root/home/biologist/tested-$name/self-test.png" "$results/$name-self-test.png"
}

say "Clean system"
root="$work/root"
make_clean_root "$root"
in_root "$root" -- sh -c '! command -v python3 && ! command -v pip' || fail "The clean system has Python."
in_root "$root" -- useradd --create-home --shell /bin/bash biologist
# Names of servers, for the dependencies.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
cp "$deb" "$archive" "$root/tmp/"
chmod 755 "$root/tmp/$(basename "$archive")"
ok "no Python, $(du -sm --one-file-system "$root" | cut -f1) MiB"

say "Package for Debian"
in_root "$root" -- apt-get update -qq -o Acquire::Retries=3
in_root "$root" -- apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends "/tmp/$(basename "$deb")" >"$work/apt.log" 2>&1 ||
    { tail -20 "$work/apt.log"; fail "apt could not install $deb."; }
ok "installed with nothing but its dependencies"
in_root "$root" -- sh -c '! command -v python3' || fail "A dependency brought Python."
[ "$(in_root "$root" --net -- cellseg --version)" = "cellseg $version" ] || fail "cellseg tells another version."
ok "cellseg --version tells $version"
as_user "cp /usr/lib/cellseg/_internal/resources/sample/nuclei.tif . && cellseg run nuclei.tif -o results" ||
    fail "cellseg does not find the cells of the sample."
ok "cellseg found the cells of the sample, as a plain user"
try_program deb usr/share/applications/org.cellseg.CellSeg.desktop

say "Archive for one user"
in_root "$root" -- apt-get remove -y -qq cellseg >/dev/null 2>&1
for gone in usr/lib/cellseg usr/bin/cellseg usr/share/applications/org.cellseg.CellSeg.desktop; do
    [ ! -e "$root/$gone" ] || fail "$gone stays when the package is removed."
done
ok "the package is removed without a trace"
as_user "/tmp/$(basename "$archive") --noprogress"
try_program run home/biologist/.local/share/applications/org.cellseg.CellSeg.desktop
as_user '.local/bin/cellseg --version'
as_user '.local/opt/cellseg/uninstall.sh'
left="$(find "$root/home/biologist/.local" -ipath '*cellseg*' -not -path '*/state/*' -not -path '*/share/CellSeg*')"
[ -z "$left" ] || fail "uninstalling leaves $left."
ok "uninstalled without a trace; the user's own files stay"
