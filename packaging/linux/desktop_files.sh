#!/usr/bin/env bash
# Desktop entry, AppStream metadata, file types and icons into a share folder.
# Usage: bash packaging/linux/desktop_files.sh SHARE_FOLDER
set -euo pipefail
share="$(realpath "$1")"
cd "$(dirname "$0")/../.."
. packaging/common.sh
here=packaging/linux
id=org.cellseg.CellSeg
mkdir -p "$share"/{applications,metainfo,mime/packages}
cp "$here/$id.desktop" "$share/applications/"
sed "s/@VERSION@/$version/; s/@DATE@/$(bash packaging/release_date.sh)/" \
    "$here/$id.metainfo.xml" >"$share/metainfo/$id.metainfo.xml"
cp "$here/$id.mime.xml" "$share/mime/packages/$id.xml"
"$(venv_with installer)/bin/python" "$here/render_icons.py" \
    resources/icons/cellseg.svg "$share/icons/hicolor" "$id"
