#!/usr/bin/env bash
# Sets everything up, then finds the cells of the sample volume; results go to ./results.
set -euo pipefail
cd "$(dirname "$0")/.."
bash packaging/set_up.sh
.venv/bin/cellseg run resources/sample/nuclei.tif -o results "$@"
