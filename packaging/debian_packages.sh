# shellcheck shell=bash disable=SC2034 # used by those who source this
# Sourced by the other scripts: Debian packages by purpose, and how they are installed.

# What Qt loads from the system, a screen in memory, and OpenGL without a graphics card.
window_packages="libegl1 libgl1 libgl1-mesa-dri libglx-mesa0 libopengl0
    libglib2.0-0 libdbus-1-3 libfontconfig1 fonts-dejavu-core libxkbcommon0 libxkbcommon-x11-0
    libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0
    libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 xvfb xauth"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# install_debian_packages NAME...: those that are missing; does nothing where there is no apt.
install_debian_packages() {
    local package missing=()
    command -v apt-get >/dev/null || return 0
    for package in "$@"; do
        case "$package" in
            # A Python of another origin does as well.
            python3 | python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null && continue ;;
        esac
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    as_root apt-get update -qq -o Acquire::Retries=3
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends "${missing[@]}" >/dev/null
}
