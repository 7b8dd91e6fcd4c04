# Sourced by the scripts that install Debian's or Ubuntu's packages: collect with `need`, end with `install_missing`.
# Needs root only if something is missing.

missing=
need() { # command-or-file package
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -e "$1" ] || missing="$missing $2"
}

install_missing() {
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "error: these packages are missing:$missing" >&2
        echo "hint: sudo apt-get install$missing" >&2
        exit 2
    fi
    command -v apt-get >/dev/null 2>&1 || {
        echo "error: these are missing, and there is no apt-get to install them:$missing" >&2
        exit 2
    }
    # A package that starts a server on installation should not: tests start their own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
