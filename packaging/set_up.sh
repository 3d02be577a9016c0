#!/usr/bin/env bash
# Sets up everything in .venv: Debian packages where they are missing, then the Python packages.
# Usage: bash packaging/set_up.sh [dev]      with dev also what the tests need
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/debian_packages.sh
extra="${1:-}"

# shellcheck disable=SC2046,SC2086 # the names are meant to be split
install_debian_packages python3 python3-venv ca-certificates $([ "$extra" = dev ] && echo $window_packages)

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -e ".${extra:+[$extra]}"
