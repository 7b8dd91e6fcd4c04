# shellcheck shell=bash
# Sourced by the scripts that record for an evaluation: what they say, how they fail, and what they need.
# shellcheck disable=SC2034 # for who sources it

OSD=${OSD:-target/release/osd}
OSD_WORKLOAD=${OSD_WORKLOAD:-target/release/osd-workload}
script=$(basename "$0" .sh)

say() { printf '%s: %s\n' "$script" "$*" >&2; }
fail() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2; exit 2; }

[ "$(id -u)" -eq 0 ] || fail "recording with eBPF needs root" "run: sudo make $script"
for program in "$OSD" "$OSD_WORKLOAD"; do
    [ -x "$(command -v "$program" || true)" ] || fail "$program is not there" "build first: cargo build --release --workspace"
done
