#!/bin/sh
# Installs what building and testing need and this machine lacks, from Debian's or Ubuntu's packages. Needs root only if something is missing.
set -eu

. "$(dirname "$0")/packages.sh"

need cc gcc
need clang clang
need pkg-config pkg-config
need /usr/include/libelf.h libelf-dev
need /usr/include/zlib.h zlib1g-dev
need python3 python3
need strace strace
need setpriv util-linux
need tmux tmux
need runc runc
need nginx nginx
need ip iproute2
need redis-server redis-server
need redis-benchmark redis-tools
need /usr/lib/postgresql postgresql
need chromium chromium
need promtool prometheus
# Containers without a daemon, of an image of one program: crun refuses a host that mounts both versions of control groups.
need podman podman
need runc runc
need busybox busybox-static
# Vulkan in software, to test training on a GPU where there is none.
need /usr/share/vulkan/icd.d/lvp_icd.$(uname -m).json mesa-vulkan-drivers
# `python3 -m venv` without pip inside is of no use; Debian splits it off.
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"

command -v cargo >/dev/null 2>&1 || {
    echo "error: no Rust toolchain" >&2
    echo "hint: install one from rustup.rs (1.95 or later), then run this again" >&2
    exit 2
}
install_missing
