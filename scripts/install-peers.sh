#!/bin/sh
# Installs the servers, load generators and tracers that `make bench-peers` measures and this machine lacks, from Debian's or Ubuntu's
# packages. Needs root only if something is missing. Building and testing need none of these: scripts/install-deps.sh has what they do.
set -eu

missing=
need() { # command package
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}

need redis-server redis-server
need redis-benchmark redis-tools
need nginx nginx-light
need wrk wrk
need bpftrace bpftrace
need strace strace
# Debian's perf is linux-perf; Ubuntu's comes with the kernel it was built for.
if apt-cache show linux-perf >/dev/null 2>&1; then need perf linux-perf; else need perf linux-tools-generic; fi

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
# A package that starts a server on installation should not: the benchmark starts its own, on loopback.
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
