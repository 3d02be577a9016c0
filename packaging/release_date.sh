#!/usr/bin/env bash
# Prints the date of the current version, from its heading in the changelog.
set -euo pipefail
cd "$(dirname "$0")/.."
version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cellseg_app/__init__.py)"
date="$(sed -n "s/^## ${version//./\\.} (\(.*\))\$/\1/p" packaging/CHANGELOG.md)"
[ -n "$date" ] || { echo "packaging/CHANGELOG.md has no heading '## $version (DATE)'." >&2; exit 1; }
echo "$date"
