#!/usr/bin/env bash
# Sets everything up, then checks style, types and layering, and runs the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bash packaging/set_up.sh dev
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/lint-imports
.venv/bin/mypy
# One computing thread for each of the parallel test processes.
OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto "$@"
