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
export OMP_NUM_THREADS=1
QT_QPA_PLATFORM=offscreen .venv/bin/python -m pytest -n auto -m "not gl" "$@"
# What draws in 3D needs a screen, here one in memory, and OpenGL, here computed by Mesa.
QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 \
    xvfb-run -a -s "-screen 0 1600x1200x24" .venv/bin/python -m pytest -m gl tests/gui tests/e2e/gui
