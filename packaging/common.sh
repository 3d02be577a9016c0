# shellcheck shell=bash disable=SC2034 # used by those who source this
# Sourced by the scripts that build and test packages, from the top of the repository.
. packaging/debian_packages.sh

# What takes long and stays the same is kept here between builds; everything works without it.
cache="${CELLSEG_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cellseg-build}"
bundle=dist/CellSeg
version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' cellseg_app/__init__.py)"

say() { printf '\n== %s (%s)\n' "$*" "$(date +%H:%M:%S)"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# venv_with EXTRA: path of a virtual environment with what pyproject.toml names, made if missing.
# "installer" holds the program's requirements too; the program itself is taken from here.
# CELLSEG_PIP installs instead of pip, such as "uv pip install --torch-backend cpu": the torch that
# pip takes from PyPI for Linux is the one for graphics cards.
venv_with() {
    local extra="$1" key folder pip
    key="$(cat pyproject.toml constraints.txt <(python3 -V) | sha256sum | cut -c1-12)"
    folder="$cache/$extra-$key"
    mkdir -p "$cache"
    # Two builds at once make it once; what no build has used for a week goes.
    if command -v flock >/dev/null; then exec 9>"$cache/lock" && flock 9; fi
    if [ -e "$folder" ]; then touch "$folder"; fi
    find "$cache" -maxdepth 1 -name "$extra-*" -mtime +7 -exec rm -rf {} +
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        python3 -m venv "$folder" >&2
        "$folder/bin/python" packaging/requirements.py "$extra" >"$folder/requirements.txt"
        pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check)
        if [ -n "${CELLSEG_PIP:-}" ]; then read -ra pip <<<"$CELLSEG_PIP --python $folder/bin/python"; fi
        "${pip[@]}" -c constraints.txt -r "$folder/requirements.txt" >&2
        touch "$folder/complete"
    fi
    printf '%s' "$folder"
}

# on_screen COMMAND...: with a screen in memory and OpenGL computed by the processor.
on_screen() {
    QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 xvfb-run -a -s "-screen 0 1280x800x24" "$@"
}

# start_screen: prints DISPLAY and process number of a screen that others may draw on too.
start_screen() {
    local number process
    for number in $(seq 90 120); do
        [ -e "/tmp/.X11-unix/X$number" ] && continue
        Xvfb ":$number" -screen 0 1280x800x24 -ac >/dev/null 2>&1 &
        process=$!
        for _ in $(seq 300); do
            if [ -e "/tmp/.X11-unix/X$number" ] && kill -0 "$process" 2>/dev/null; then
                echo ":$number $process"
                return
            fi
            sleep 0.1
        done
    done
    fail "Xvfb did not start."
}
