#!/bin/sh
# Installs CellSeg for the user who runs this, without root; the .run archive starts it.
#   ./CellSeg-….run                    into ~/.local
#   ./CellSeg-….run -- --prefix DIR    into DIR
#   ~/.local/opt/cellseg/uninstall.sh  takes everything out again; settings and results stay
set -eu
id=org.cellseg.CellSeg
prefix="$HOME/.local"
data="${XDG_DATA_HOME:-$HOME/.local/share}"
remove=""
case "$0" in */uninstall.sh)
    remove=yes
    prefix="$(cd "$(dirname "$0")/../.." && pwd)"
    [ "$prefix" = "$HOME/.local" ] || data="$prefix/share"
    ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix)
            prefix="$2"
            data="$2/share"
            shift
            ;;
        *)
            echo "Unknown option $1; there is --prefix DIR." >&2
            exit 2
            ;;
    esac
    shift
done
app="$prefix/opt/cellseg"

take_out() {
    rm -rf "$app"
    rm -f "$prefix/bin/cellseg" "$prefix/bin/cellseg-app"
    rm -f "$data/applications/$id.desktop" "$data/metainfo/$id.metainfo.xml" "$data/mime/packages/$id.xml"
    rm -f "$data"/icons/hicolor/*/apps/"$id".*
}

tell_the_desktop() {
    if command -v update-desktop-database >/dev/null; then update-desktop-database -q "$data/applications" || true; fi
    if command -v update-mime-database >/dev/null; then update-mime-database "$data/mime" || true; fi
}

# An older version goes first, so that none of its libraries are left.
take_out
if [ -n "$remove" ]; then
    tell_the_desktop
    echo "CellSeg is no longer in $prefix."
    exit 0
fi
mkdir -p "$app" "$prefix/bin" "$data"
mv CellSeg/* "$app/"
cp install.sh "$app/uninstall.sh"
cp -R share/. "$data/"
ln -sf ../opt/cellseg/cellseg ../opt/cellseg/cellseg-app "$prefix/bin/"
sed "s#^Exec=cellseg-app#Exec=\"$app/cellseg-app\"#; s#^TryExec=.*#TryExec=$app/cellseg-app#" \
    "share/applications/$id.desktop" >"$data/applications/$id.desktop"
tell_the_desktop
missing="$(find "$app/_internal/PySide6/Qt/plugins/platforms" -name '*.so' \
    -exec env LD_LIBRARY_PATH="$app/_internal" ldd {} + 2>/dev/null |
    awk '/not found/ { print $1 }' | sort -u)"
if [ -n "$missing" ]; then
    echo "The window needs libraries that this system lacks:" "$missing" >&2
    echo "On Debian and Ubuntu the .deb brings them." >&2
fi
echo "CellSeg is in the menu, and in $prefix/bin. To remove it: $app/uninstall.sh"
