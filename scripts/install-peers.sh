#!/bin/sh
# Installs the servers, load generators and tracers that `make bench-peers` measures and this machine lacks, from Debian's or Ubuntu's
# packages. Needs root only if something is missing. Building and testing need none of these: scripts/install-deps.sh has what they do.
set -eu

. "$(dirname "$0")/packages.sh"

need redis-server redis-server
need redis-benchmark redis-tools
need nginx nginx-light
need wrk wrk
need bpftrace bpftrace
need strace strace
# Debian's perf is linux-perf; Ubuntu's comes with the kernel it was built for.
if apt-cache show linux-perf >/dev/null 2>&1; then need perf linux-perf; else need perf linux-tools-generic; fi

install_missing

# Where these tools look tracepoints up; small images leave it unmounted.
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || true
