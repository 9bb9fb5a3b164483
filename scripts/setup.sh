# shellcheck shell=bash
# Sets up what the scripts beside it need: Python packages in .venv, programs from the system.
# To be sourced with the project's folder as working directory. Plain enough for the bash 3.2 of a Mac.

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

heading() {
    printf '\n== %s ==\n' "$*"
}

is_true() {
    case "$1" in 1 | true | True | TRUE | yes) return 0 ;; *) return 1 ;; esac
}

apt_line() {
    printf 'sudo apt-get update && sudo apt-get install -y --no-install-recommends %s' "$*"
}

can_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# Installs system packages; needs can_apt. The list of packages is brought up to date once per run.
apt_install() {
    if [ -z "${apt_is_current:-}" ]; then
        DEBIAN_FRONTEND=noninteractive apt-get update -qq || return 1
        apt_is_current=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A pyenv shim of a version that is not active is on PATH and fails: hence a candidate is run, not just found.
# find_python MODULE...: prints the first Python that is new enough and has these modules.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$candidate" -c 'import importlib, sys
[importlib.import_module(name) for name in sys.argv[1:]]
sys.exit(sys.version_info < (3, 11))' "$@" >/dev/null 2>&1; then
            printf '%s' "$candidate"
            return 0
        fi
    done
    return 1
}

environment_works() {
    .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Makes .venv with a pip from PyPI, where Python comes without one of its own (Debian without python3-venv).
make_environment_with_fetched_pip() {
    local python folder wheel ended=0
    python=$(find_python venv) || return 1
    heading "virtual environment in .venv, from $("$python" --version), pip from PyPI"
    folder=$(mktemp -d)
    { "$python" -m venv --clear --without-pip .venv &&
        wheel=$("$python" scripts/fetch_pip.py "$folder") &&
        .venv/bin/python "$wheel/pip" install -q --no-index "$wheel"; } || ended=1
    rm -rf "$folder"
    return "$ended"
}

# Makes .venv unless it is there and works.
make_environment() {
    environment_works && return 0
    local python
    if ! find_python ensurepip venv >/dev/null && can_apt; then
        heading "system packages: python3 python3-venv"
        apt_install python3 python3-venv || true
    fi
    if python=$(find_python ensurepip venv); then
        heading "virtual environment in .venv, from $("$python" --version)"
        "$python" -m venv --clear .venv
    elif ! make_environment_with_fetched_pip; then
        printf 'Python 3.11 or newer with its venv module is missing. Type:\n    %s\n' \
            "$(apt_line python3 python3-venv)" >&2
        return 1
    fi
}

# install_packages NAME PIP-ARGUMENT...: installs into .venv, at the versions of constraints.txt.
# Does nothing when it did the same before and nothing has changed since.
install_packages() {
    local name=$1 stamp wanted
    shift
    stamp=".venv/.installed-$name"
    wanted=$({
        pwd
        printf '%s\n' "$@"
        cat pyproject.toml scripts/constraints.txt
    } | cksum)
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    heading "packages for the $name"
    .venv/bin/python -m pip install -q --upgrade -c scripts/constraints.txt pip
    .venv/bin/python -m pip install -q -c scripts/constraints.txt "$@"
    printf '%s\n' "$wanted" >"$stamp"
}
