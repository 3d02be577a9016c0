#!/usr/bin/env bash
# Sets up everything in .venv: Debian packages where they are missing, then the Python packages.
# Usage: bash packaging/set_up.sh [extra]      with extra = dev for the tools of the tests
set -euo pipefail
cd "$(dirname "$0")/.."
extra="${1:-}"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

have_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
if command -v apt-get >/dev/null && ! have_venv; then
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates
fi

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -e ".${extra:+[$extra]}"
