#!/usr/bin/env bash
# Sets up everything in .venv: Debian packages where they are missing, then the Python packages.
# Usage: bash packaging/set_up.sh [dev]      with dev also what the tests need
set -euo pipefail
cd "$(dirname "$0")/.."
extra="${1:-}"

debian="python3 python3-venv ca-certificates"
# What Qt loads from the system, a screen in memory, and OpenGL without a graphics card.
[ "$extra" = dev ] && debian="$debian libegl1 libgl1 libgl1-mesa-dri libglx-mesa0 libopengl0
    libglib2.0-0 libdbus-1-3 libfontconfig1 fonts-dejavu-core libxkbcommon0 libxkbcommon-x11-0
    libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
    libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 xvfb xauth"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_debian_packages() {
    local package missing=""
    for package in $debian; do
        case "$package" in
            # A Python of another origin does as well.
            python3 | python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null && continue ;;
        esac
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    [ -z "$missing" ] && return
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # the names are meant to be split
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

if command -v apt-get >/dev/null; then install_debian_packages; fi

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -e ".${extra:+[$extra]}"
