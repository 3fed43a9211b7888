# shellcheck shell=bash
# Sourced by the scripts beside it: where things are, how they talk, when a set-up step is still good, how Debian packages come.
# shellcheck disable=SC2034  # the folders are for the scripts

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ENGINE_ENV=$REPO/.venv-engine
QGIS_ENV=$REPO/.venv-qgis
QT6_ENV=$REPO/.venv-qt6
SIDE_QGIS=$REPO/.qgis-3.40
SETUP_LOGS=$REPO/.cache/setup
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONUTF8=1

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'samescene: %s\n' "$*" >&2
    exit 1
}

# key VALUE... -- FILE...: one digest of the values and of the files' contents; it changes when a step must be done again
key() {
    local values=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        values+=("$1")
        shift
    done
    shift
    { printf '%s\n' "${values[@]}"; (cd "$REPO" && sha256sum "$@"); } | sha256sum | cut -d ' ' -f 1
}

# done_before STAMP KEY: whether the step behind STAMP was finished with this KEY
done_before() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# quietly NAME COMMAND...: the output goes to a log file, shown only when the command fails
quietly() {
    local log=$SETUP_LOGS/$1.log
    shift
    mkdir -p "$SETUP_LOGS"
    if ! "$@" >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        printf 'samescene: failed: %s (all of its output: %s)\n' "$*" "$log" >&2
        return 1
    fi
}

# environment NAME PYTHON FOLDER [VENV OPTION...]: a virtual environment; one of another Python, or moved here, is made anew
environment() {
    local name=$1 python=$2 folder=$3
    shift 3
    if [ "$("$folder/bin/python" --version 2>&1)" != "$("$python" --version)" ] ||
        ! grep -qsF "$folder/bin/python" "$folder/bin/pip"; then
        rm -rf "$folder"
    fi
    quietly "$name-venv" "$python" -m venv "$@" "$folder"
}

# one_at_a_time: two scripts that are started together must not fill one environment at the same time
one_at_a_time() {
    command -v flock >/dev/null || return 0
    mkdir -p "$SETUP_LOGS"
    exec 9>"$SETUP_LOGS/lock"
    flock 9
}

is_debian_12() {
    [ -r /etc/os-release ] && (
        # shellcheck disable=SC1091
        . /etc/os-release
        [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]
    )
}

# debian_packages WHY PACKAGE...: installs what is missing; elsewhere than on Debian 12 as root it names what is missing
debian_packages() {
    local why=$1 missing=() package
    shift
    command -v dpkg-query >/dev/null || fail "missing for $why: what Debian packages as $*. Install it, then run this again."
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    is_debian_12 || fail "missing for $why: ${missing[*]} (installed by themselves on Debian 12 only). Install them, then run this again."
    [ "$(id -u)" = 0 ] || fail "missing for $why: ${missing[*]}. Run as root, or: sudo apt-get install --no-install-recommends ${missing[*]}"
    say "Installing Debian packages: ${missing[*]}"
    quietly apt-update apt-get -q update
    quietly apt-install env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
}
