#!/usr/bin/env bash
# dist/CellSeg -> dist/cellseg_VERSION_amd64.deb, checked.
# Usage: bash packaging/linux/build_deb.sh      after packaging/build_bundle.sh
# XZ_LEVEL=6 makes it a tenth smaller and takes ten minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/common.sh
here=packaging/linux
maintainer="The CellSeg authors <cellseg@cellseg.org>"
id=org.cellseg.CellSeg
[ -x "$bundle/cellseg-app" ] || fail "$bundle is not there; run packaging/build_bundle.sh first."

install_debian_packages binutils dpkg desktop-file-utils appstream lintian gzip
say "Package for Debian and Ubuntu"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
share="$root/usr/share"
mkdir -p "$root/DEBIAN" "$root/usr/lib" "$root/usr/bin" "$share"/{applications,metainfo,man/man1} \
    "$share/mime/packages" "$share/doc/cellseg" "$share/lintian/overrides"

cp -a "$bundle" "$root/usr/lib/cellseg"
ln -s ../lib/cellseg/cellseg-app ../lib/cellseg/cellseg "$root/usr/bin/"

bash "$here/desktop_files.sh" "$share"
for page in cellseg cellseg-app; do
    sed "s/@VERSION@/$version/; s/@DATE@/$(bash packaging/release_date.sh)/" "$here/$page.1" |
        gzip -9n >"$share/man/man1/$page.1.gz"
done
cp "$here/lintian-overrides" "$share/lintian/overrides/cellseg"
python3 "$here/copyright.py" >"$share/doc/cellseg/copyright"
gzip -9n >"$share/doc/cellseg/changelog.gz" <<CHANGELOG
cellseg ($version) stable; urgency=medium

  * What changed is told with the release.

 -- $maintainer  $(date --rfc-email --date "$(bash packaging/release_date.sh)")
CHANGELOG
find "$root/usr" -type f -exec chmod 644 {} +
find "$root/usr" -type d -exec chmod 755 {} +
chmod 755 "$root"/usr/lib/cellseg/{cellseg,cellseg-app} "$root/usr/lib/cellseg/_internal/torch/bin"/*

depends="$(python3 "$here/dependencies.py" "$bundle")"
cat >"$root/DEBIAN/control" <<CONTROL
Package: cellseg
Version: $version
Section: science
Priority: optional
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: $depends
Recommends: libgl1-mesa-dri
Description: find every cell in a 3D microscope volume
 CellSeg opens volumes of light-sheet, confocal and two-photon microscopes,
 finds the cells in them with neural networks, measures each one and exports
 the table. Trained weights are inside: nothing is downloaded, and no graphics
 card and no Python are needed.
 .
 It has a window (cellseg-app) and a command line (cellseg).
CONTROL
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
chmod 644 "$root/DEBIAN"/*

package="dist/cellseg_${version}_amd64.deb"
dpkg-deb --root-owner-group -Zxz -z"${XZ_LEVEL:-1}" --build "$root" "$package"

say "Checks of the package"
desktop-file-validate "$share/applications/$id.desktop"
appstreamcli validate --no-net --explain "$share/metainfo/$id.metainfo.xml"
# What is left out reads the strings of every library for minutes, to say what is overridden anyway.
lintian --fail-on error --dont-check-part binaries/spelling,libraries/embedded "$package"
echo "ok     desktop-file-validate, appstreamcli and lintian find no errors"
size=$(stat -c %s "$package")
echo "$package: $((size / 1024 / 1024)) MiB; needs $depends"
[ "$size" -le $((320 * 1024 * 1024)) ] || fail "$package is larger than 320 MiB."
