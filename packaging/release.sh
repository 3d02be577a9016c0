#!/usr/bin/env bash
# Makes a release: checks that version, changelog and tests are in order, tags, and pushes the tag;
# .github/workflows/release.yml then builds, tests and publishes the installers of all systems.
# Usage: bash packaging/release.sh [--dry-run]
# Before: set __version__ in cellseg_app/__init__.py, the only place, and head the changes in
# packaging/CHANGELOG.md with "## VERSION (DATE)"; commit both.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/common.sh
tag="v$version"
say "Release $version"
[ -z "$(git status --porcelain)" ] || fail "There are changes that are not committed."
bash packaging/release_date.sh
git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null && fail "$tag exists already; raise the version."
if [ "${1:-}" = --dry-run ]; then
    echo "Would test, then tag $(git rev-parse --short HEAD) as $tag and push it."
    exit 0
fi
bash .ci/run
git tag --annotate "$tag" --message "CellSeg $version"
git push origin HEAD "$tag"
