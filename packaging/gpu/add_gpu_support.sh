#!/usr/bin/env bash
# Adds torch for NVIDIA cards to an installed CellSeg, for one user; see README.md.
# Usage: add_gpu_support.sh [--backend auto|cu126|…] [--remove]
# CELLSEG names the `cellseg` program where it is not on the PATH.
set -euo pipefail
backend=auto
# Of every installer of CellSeg.
python=3.11
remove=""
while [ $# -gt 0 ]; do
    case "$1" in
        --backend) backend="$2" && shift ;;
        --remove) remove=yes ;;
        *) echo "Unknown option $1; see the first lines of $0." >&2 && exit 2 ;;
    esac
    shift
done
data="${CELLSEG_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/CellSeg}"
pack="$data/gpu"
rm -rf "$pack"
if [ -n "$remove" ]; then echo "The GPU pack is removed." && exit 0; fi

fail() { echo "$*" >&2 && rm -rf "$pack" && exit 1; }
command -v uv >/dev/null || fail "uv is missing; see README.md."
cellseg="$(command -v "${CELLSEG:-cellseg}")" || fail "cellseg is not on the PATH; name it by CELLSEG=…"
# engine: one line of JSON about the torch that CellSeg loads.
engine() { CELLSEG_DATA="$data" "$cellseg" devices --json | grep '"event": *"engine"'; }
torch="$(engine | sed -n 's/.*"torch": *"\([0-9.]*\).*/\1/p')"
[ -n "$torch" ] || fail "$cellseg does not tell its torch."
echo "CellSeg has torch $torch for Python $python; looking for the same for CUDA ($backend)."

mkdir -p "$pack"
lock="$pack/requirements.txt"
echo "torch==$torch" | uv pip compile --quiet --generate-hashes --python-version "$python" \
    --torch-backend "$backend" --output-file "$lock" -
uv pip install --target "$pack" --python-version "$python" --torch-backend "$backend" \
    --require-hashes --only-binary :all: -r "$lock"
printf '{"python": "%s", "torch": "%s"}\n' "$python" "$torch" >"$pack/pack.json"
engine | grep -qF "$pack" || fail "CellSeg does not start with this torch; it is removed again."
CELLSEG_DATA="$data" "$cellseg" devices
echo "The GPU pack is in $pack."
