#!/usr/bin/env bash
# Builds and tries every installer that a Linux machine can: the frozen program, the .deb and the
# .run in a Debian system without Python, and the Windows setup under Wine.
# Usage: bash packaging/test_installers.sh      as root, on Debian
# What takes long and does not change is kept in ~/.cache/cellseg-build; without it, this takes
# some minutes longer.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/common.sh
. packaging/linux/clean_root.sh
command -v apt-get >/dev/null || fail "This needs Debian; build_bundle.sh and test_bundle.sh need not."
require_root
install_debian_packages shellcheck
say "Shell scripts"
find packaging .ci \( -name '*.sh' -o -path '.ci/run' \) -exec shellcheck --severity=warning --external-sources {} +
echo "ok     shellcheck finds nothing"
bash packaging/build_bundle.sh
bash packaging/test_bundle.sh
bash packaging/linux/build_deb.sh
bash packaging/linux/build_run.sh
bash packaging/linux/test_packages.sh
bash packaging/windows/test_setup.sh
say "Everything that can be built here is built and works"
ls -l dist/*.deb dist/*.run dist/tests
