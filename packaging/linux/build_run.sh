#!/usr/bin/env bash
# dist/CellSeg -> dist/CellSeg-VERSION-linux-x86_64.run, which installs itself for one user.
# Usage: bash packaging/linux/build_run.sh      after packaging/build_bundle.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/common.sh
[ -x "$bundle/cellseg-app" ] || fail "$bundle is not there; run packaging/build_bundle.sh first."
install_debian_packages makeself

say "Self-extracting archive"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
# Hard links where the file system has them.
cp -al "$bundle" "$work/CellSeg" 2>/dev/null || cp -a "$bundle" "$work/CellSeg"
install -m 755 packaging/linux/install.sh "$work/install.sh"
bash packaging/linux/desktop_files.sh "$work/share"
archive="dist/CellSeg-$version-linux-x86_64.run"
# gzip: every system that runs this can unpack it.
makeself --nox11 --sha256 --complevel 6 --tar-quietly "$work" "$archive" \
    "CellSeg $version" ./install.sh >/dev/null
echo "$archive: $(($(stat -c %s "$archive") / 1024 / 1024)) MiB"
