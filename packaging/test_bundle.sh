#!/usr/bin/env bash
# Tries the frozen program where it was built: both programs, the self-test with 3D, start-up time.
# Usage: bash packaging/test_bundle.sh      after packaging/build_bundle.sh; reports go to dist/tests
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/common.sh
# shellcheck disable=SC2086 # the names are meant to be split
install_debian_packages $window_packages
program="$bundle/cellseg-app" command="$bundle/cellseg"
[ -x "$program" ] || fail "$bundle is not there; run packaging/build_bundle.sh first."
work="$(mktemp -d)"
server=""
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
export CELLSEG_DATA="$work/data"

say "Command line"
[ "$("$command" --version)" = "cellseg $version" ] || fail "cellseg tells another version."
[ "$("$program" --version)" = "CellSeg $version" ] || fail "cellseg-app tells another version."
"$command" weights verify
"$command" devices
# Starts processes of its own, which are this program again.
"$command" train simulate --out "$work/volumes" --count 2 --workers 2 --size 24 48 48
echo "ok     both programs are version $version, the weights are intact"

say "A folder that looks like a GPU pack"
mkdir -p "$CELLSEG_DATA/gpu/torch"
echo "raise ImportError('a GPU pack was taken')" >"$CELLSEG_DATA/gpu/torch/__init__.py"
"$command" devices >/dev/null || fail "A folder without pack.json was taken for a GPU pack."
torch="$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$bundle/_internal/torch/version.py")"
printf '{"python": "3.9", "torch": "%s"}' "$torch" >"$CELLSEG_DATA/gpu/pack.json"
"$command" devices >/dev/null || fail "A GPU pack for another Python was taken."
made_with="$(find "$bundle/_internal" -maxdepth 1 -name 'python3.*' -printf '%f' | sed 's/^python//')"
printf '{"python": "%s", "torch": "%s"}' "$made_with" "$torch" >"$CELLSEG_DATA/gpu/pack.json"
if "$command" devices >"$work/devices.log" 2>&1; then fail "A fitting GPU pack is not taken."; fi
grep -q "a GPU pack was taken" "$work/devices.log" || fail "$(cat "$work/devices.log")"
CELLSEG_NO_GPU_PACK=1 "$command" devices >/dev/null || fail "CELLSEG_NO_GPU_PACK=1 does not help."
rm -r "$CELLSEG_DATA/gpu"
echo "ok     a fitting pack is taken, others are not"

say "A volume at an address"
mkdir "$work/served"
touch "$work/server.log"
"$(venv_with installer)/bin/python" - "$work/served/v.ome.zarr" <<'PYTHON'
import sys

import numpy as np
import zarr

group = zarr.open_group(sys.argv[1], mode="w", zarr_format=2)
group.create_array("0", data=np.arange(8 * 16 * 16, dtype=np.uint16).reshape(8, 16, 16))
axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
scale = {"type": "scale", "scale": [2.0, 0.5, 0.5]}
levels = [{"path": "0", "coordinateTransformations": [scale]}]
group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]
PYTHON
"$(venv_with installer)/bin/python" -u -m http.server --bind 127.0.0.1 --directory "$work/served" 0 \
    >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    port="$(sed -n 's/^Serving HTTP on .* port \([0-9]*\).*/\1/p' "$work/server.log")"
    if [ -n "$port" ]; then break; fi
    sleep 0.1
done
[ -n "$port" ] || fail "The server for the test does not start."
"$command" info "http://127.0.0.1:$port/v.ome.zarr" >"$work/info.log" 2>&1 ||
    { cat "$work/info.log"; fail "OME-Zarr cannot be read from a server."; }
cat "$work/info.log"
echo "ok     OME-Zarr is read from a server"
if "$command" run "$work/volumes" --scheduler local:1 -o "$work/out" >"$work/dask.log" 2>&1; then
    fail "Dask is inside."
fi
grep "needs CellSeg for Python" "$work/dask.log" || { cat "$work/dask.log"; fail "It does not say how Dask is had."; }

say "Self-test"
on_screen "$program" --self-test --results dist/tests/bundle || fail "The self-test fails."
grep -q "OpenGL" dist/tests/bundle/self-test.txt || fail "The self-test saw no 3D."
# Without a terminal, as Windows starts it, and without OpenGL.
QT_QPA_PLATFORM=offscreen "$program" --quit-after 1 >&- 2>&- <&- || fail "It does not start without streams."
echo "ok     it starts without streams and without OpenGL"

say "Without OpenVINO"
copy="$work/CellSeg"
cp -al "$bundle" "$copy" 2>/dev/null || { rm -rf "$copy" && cp -a "$bundle" "$copy"; }
rm -r "$copy/_internal/openvino"
if QT_QPA_PLATFORM=offscreen "$copy/cellseg-app" --self-test --results "$work/without" >"$work/without.log" 2>&1; then
    fail "The self-test does not miss OpenVINO."
fi
networks="$(find resources/weights -name '*.safetensors' | wc -l)"
[ "$(grep -c '^ok     network .*by PyTorch only' "$work/without.log")" = "$networks" ] &&
    [ "$(grep -c '^FAILED' "$work/without.log")" = 1 ] && grep '^FAILED OpenVINO' "$work/without.log" ||
    { cat "$work/without.log"; fail "Without OpenVINO, PyTorch does not compute every network."; }
rm -r "$copy"
echo "ok     PyTorch computes all $networks networks where OpenVINO cannot be loaded, and the self-test says so"

say "Start-up"
# On an idle computer it takes a third of that; this one may be busy.
on_screen "$(venv_with installer)/bin/python" tests/benchmarks/startup.py \
    --program "$program" --runs 5 --within ${CELLSEG_START_WITHIN:-6 9}
