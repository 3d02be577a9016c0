#!/usr/bin/env bash
# dist/CellSeg -> dist/CellSeg-VERSION-x86_64.AppImage.
# Usage: APPIMAGETOOL=path/to/appimagetool bash packaging/linux/build_appimage.sh
# The tool and the runtime it brings are not in Debian; the release workflow fetches them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/common.sh
id=org.cellseg.CellSeg
[ -x "$bundle/cellseg-app" ] || fail "$bundle is not there; run packaging/build_bundle.sh first."
[ -x "${APPIMAGETOOL:-}" ] || fail "APPIMAGETOOL does not name appimagetool."
say "AppImage"
folder=build/CellSeg.AppDir
rm -rf "$folder"
mkdir -p "$folder/usr/lib"
cp -al "$bundle" "$folder/usr/lib/cellseg" 2>/dev/null || cp -a "$bundle" "$folder/usr/lib/cellseg"
bash packaging/linux/desktop_files.sh "$folder/usr/share"
cp "$folder/usr/share/applications/$id.desktop" "$folder/"
cp "$folder/usr/share/icons/hicolor/256x256/apps/$id.png" "$folder/"
cat >"$folder/AppRun" <<'RUN'
#!/bin/sh
# Called `cellseg`, by a link or as the first word, it is the command line.
here="$(dirname "$(readlink -f "$0")")/usr/lib/cellseg"
if [ "$(basename "${ARGV0:-$0}")" = cellseg ]; then exec "$here/cellseg" "$@"; fi
if [ "${1:-}" = cellseg ]; then shift; exec "$here/cellseg" "$@"; fi
exec "$here/cellseg-app" "$@"
RUN
chmod 755 "$folder/AppRun"
ARCH=x86_64 "$APPIMAGETOOL" --no-appstream "$folder" "dist/CellSeg-$version-x86_64.AppImage"
