#!/usr/bin/env bash
# Records a service that misbehaves in ten known ways, finds what it did, and writes a report. Needs root to record.
# Called by `make demo` from the repository root; OSD and OSD_WORKLOAD name the built binaries.
set -euo pipefail

OSD=${OSD:-target/release/osd}
OSD_WORKLOAD=${OSD_WORKLOAD:-target/release/osd-workload}
DURATION=${DURATION:-160s}
SEED=${SEED:-7}

run=demo/run
report=demo/report
recording=$run/run.parquet
labels=$run/labels.ndjson

say() { printf 'demo: %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2; exit 2; }

[ -f demo/run.sh ] || fail "demo/run.sh is not below $PWD" "run it from the repository root: sudo make demo"
[ "$(id -u)" -eq 0 ] || fail "the demo records with eBPF and needs root" "run: sudo make demo"
for program in "$OSD" "$OSD_WORKLOAD"; do
    [ -x "$(command -v "$program" || true)" ] || fail "$program is not there" "build first: cargo build --release --workspace"
done

mkdir -p "$run"
: >"$labels"

say "1/2 recording a key-value service for $DURATION: steady at first, then ten faults, 5 s each, from 20 s on"
say "    what it really did goes to $labels, for the report to be judged by"
"$OSD" record -o "$recording" --force --stacks --labels "$labels" -- \
    "$OSD_WORKLOAD" --demo-faults --duration "$DURATION" --labels "$labels" --seed "$SEED"

say "2/2 looking for what was wrong"
found=0
"$OSD" analyze "$recording" "--report=$report" --force || found=$?
# 1 is the answer "found", as of grep; 2 and above are errors.
[ "$found" -le 1 ] || fail "osd analyze ended with status $found" "the recording is whole: $OSD info $recording"

# Written by root for the person who called sudo.
if [ -n "${SUDO_UID:-}" ] && [ -n "${SUDO_GID:-}" ]; then
    chown -R "$SUDO_UID:$SUDO_GID" "$run" "$report"
fi

say "recording: $recording ($(wc -l <"$labels") faults labelled)"
say "report:    $PWD/$report"
for page in "$report"/*.html; do
    [ -e "$page" ] || continue
    say "open:      file://$PWD/$page"
done
