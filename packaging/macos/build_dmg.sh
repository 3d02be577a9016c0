#!/usr/bin/env bash
# Builds dist/CellSeg-VERSION-macos-arm64.dmg, on a Mac with Apple's command line tools.
# Usage: bash packaging/macos/build_dmg.sh
# Signed where MACOS_IDENTITY names a "Developer ID Application" of the key chain, and notarised
# where NOTARY_PROFILE names credentials stored by `xcrun notarytool store-credentials`.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/common.sh
app="dist/CellSeg.app"
image="dist/CellSeg-$version-macos-arm64.dmg"
entitlements=packaging/macos/entitlements.plist

bash packaging/build_bundle.sh

say "Self-test"
"$app/Contents/MacOS/cellseg-app" --self-test --results dist/tests

sign() {
    codesign --force --timestamp --options runtime --entitlements "$entitlements" --sign "$MACOS_IDENTITY" "$@"
}

# notarise FILE: sends it to Apple, waits for the answer, and fastens the ticket to what it is for.
notarise() {
    xcrun notarytool submit "$1" --keychain-profile "$NOTARY_PROFILE" --wait
    xcrun stapler staple "$2"
}

if [ -n "${MACOS_IDENTITY:-}" ]; then
    say "Signing"
    # From the inside outwards: every library first, then the programs, then the whole.
    find "$app/Contents" -type f \( -name '*.dylib' -o -name '*.so' \) -print0 |
        while IFS= read -r -d '' library; do sign "$library"; done
    sign "$app/Contents/MacOS/cellseg" "$app/Contents/MacOS/cellseg-app"
    sign "$app"
    codesign --verify --deep --strict "$app"
else
    echo "No MACOS_IDENTITY: signed for this machine only. Others open it by Control-click, Open."
fi
if [ -n "${NOTARY_PROFILE:-}" ]; then
    say "Notarising the program"
    ditto -c -k --keepParent "$app" build/CellSeg.zip
    notarise build/CellSeg.zip "$app"
fi

say "Disk image"
stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT
cp -R "$app" "$stage/"
ln -s /Applications "$stage/Applications"
hdiutil create -volname "CellSeg $version" -srcfolder "$stage" -fs HFS+ -format UDZO -ov "$image"
if [ -n "${MACOS_IDENTITY:-}" ]; then codesign --force --timestamp --sign "$MACOS_IDENTITY" "$image"; fi
if [ -n "${NOTARY_PROFILE:-}" ]; then
    say "Notarising the image"
    notarise "$image" "$image"
    spctl --assess --type open --context context:primary-signature --verbose "$image"
fi
ls -l "$image"
