#!/usr/bin/env bash
# Prints what "Check for updates" reads: the newest version, and the page where it can be had.
# Usage: GITHUB_REPOSITORY=OWNER/NAME bash packaging/release_feed.sh >latest.json
set -euo pipefail
cd "$(dirname "$0")/.."
version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cellseg_app/__init__.py)"
page="https://github.com/${GITHUB_REPOSITORY:?names the repository}/releases/tag/v$version"
printf '{"version": "%s", "date": "%s", "page": "%s"}\n' "$version" "$(bash packaging/release_date.sh)" "$page"
