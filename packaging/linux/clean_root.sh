# shellcheck shell=bash
# shellcheck disable=SC2154 # cache is set by common.sh
# Sourced: a Debian system of nothing but its essential packages, in a folder, to try packages in.

# make_clean_root FOLDER: unpacks it; made once and kept in the cache.
make_clean_root() {
    local archive sources
    archive="$cache/clean-root-$(debian_suite).tar.zst"
    install_debian_packages mmdebstrap zstd ca-certificates
    require_root
    if [ ! -e "$archive" ]; then
        mkdir -p "$cache"
        apt-get update -qq -o Acquire::Retries=3
        sources="$(debian_sources amd64)"
        mmdebstrap --quiet --aptopt='Acquire::Retries "3"' --variant=minbase --skip=cleanup/apt/lists \
            "$(debian_suite)" "$archive.part.tar.zst" "$sources"
        mv "$archive.part.tar.zst" "$archive"
    fi
    mkdir -p "$1"
    tar --extract --zstd --numeric-owner --exclude './dev/*' --file "$archive" --directory "$1"
}

require_root() {
    [ "$(id -u)" = 0 ] || fail "Another system can only be entered by root; run this as root."
    unshare --mount true ||
        fail "This machine does not let root mount anything (unshare --mount); run this where it does."
}

debian_suite() { (. /etc/os-release && echo "$VERSION_CODENAME"); }

# One suite only, from where this machine has it: then libraries of two architectures agree.
debian_sources() {
    local suite address
    suite="$(debian_suite)"
    # shellcheck disable=SC2016 # apt fills these in
    address="$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 == suite { print $1; exit }')"
    [ -n "$address" ] || fail "apt on this machine knows no Debian '$suite' to make a clean system of."
    echo "deb [arch=$1] $address $suite main"
}

# in_root ROOT [OPTION...] -- COMMAND...: with /proc, /dev, /sys and the screens of this machine.
# Options go to unshare; --net takes the network away.
in_root() {
    local root="$1" options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    unshare --mount --propagation private "${options[@]}" bash -c '
        set -e
        root="$1"
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --rbind /sys "$root/sys"
        mkdir -p "$root/tmp/.X11-unix"
        if [ -d /tmp/.X11-unix ]; then mount --bind /tmp/.X11-unix "$root/tmp/.X11-unix"; fi
        exec env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            DISPLAY="${DISPLAY:-}" QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 \
            DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"' - "$root" "$@" ||
        return $?
}
