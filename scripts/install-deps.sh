#!/bin/sh
# Installs what building and testing need and this machine lacks, from Debian's or Ubuntu's packages. Needs root only if something is missing.
set -eu

missing=
need() { # command-or-file package
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"
}

need cc gcc
need clang clang
need pkg-config pkg-config
need /usr/include/libelf.h libelf-dev
need /usr/include/zlib.h zlib1g-dev
need python3 python3
need strace strace
need setpriv util-linux
need redis-server redis-server
need redis-benchmark redis-tools
need chromium chromium
# `python3 -m venv` without pip inside is of no use; Debian splits it off.
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"

command -v cargo >/dev/null 2>&1 || {
    echo "error: no Rust toolchain" >&2
    echo "hint: install one from rustup.rs (1.95 or later), then run this again" >&2
    exit 2
}
[ -n "$missing" ] || exit 0
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
