#!/usr/bin/env bash
# Freezes the program into dist/CellSeg: one folder that needs no Python, pip or network.
# Usage: bash packaging/build_bundle.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/common.sh

# PyInstaller takes Qt's libraries from the system it runs on: they must be here.
# shellcheck disable=SC2086 # the names are meant to be split
install_debian_packages $window_packages python3-venv binutils

say "Build environment"
build="$(venv_with installer)"
tools="$(venv_with licences)"

say "Freezing CellSeg $version"
# The same input gives the same files, so that an update is small.
PYTHONHASHSEED=1 "$build/bin/pyinstaller" --noconfirm --log-level WARN \
    --distpath dist --workpath build packaging/pyinstaller/cellseg.spec

[ ! -e "$bundle/_internal/torch/lib/libtorch_cuda.so" ] ||
    fail "This torch is for graphics cards, and too large; set CELLSEG_PIP as packaging/common.sh says."

say "Licences and bill of materials"
"$tools/bin/python" packaging/licences.py \
    --python "$build/bin/python" --version "$version" "$bundle"

say "Compiling, stripping, counting"
"$build/bin/python" packaging/pyinstaller/finish_bundle.py "$bundle"
