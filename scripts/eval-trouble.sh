#!/usr/bin/env bash
# How good `osd analyze` is at what operators are called for: records the workload with a slow leak, a stall, a slow dependency, a missed job, two
# faults at once and one at the start, at three strengths and under two kinds of load; and quiet recordings beside them. Needs root to
# record, and a machine that does nothing else. Called by `make eval-trouble`.
#
#   RUNS=eval-trouble       folder for recordings and tables; recordings that are there are not made again
#   SEEDS                   for each seed a recording a strength and load, 3 min 20 s
#   QUIET, QUIET_SEEDS      quiet recordings: how long, and one a seed and load
#   AT_ONCE                 how many are recorded at the same time
set -euo pipefail
# shellcheck source=scripts/eval.sh
. "$(dirname "$0")/eval.sh"

RUNS=${RUNS:-eval-trouble}
SEEDS=${SEEDS:-61 62}
QUIET=${QUIET:-600s}
QUIET_SEEDS=${QUIET_SEEDS-71 72}
AT_ONCE=${AT_ONCE:-3}

mkdir -p "$RUNS"

record() { # NAME ARGUMENTS-OF-THE-WORKLOAD...
    local name=$1 labels=$RUNS/$1.ndjson
    shift
    [ ! -e "$RUNS/$name.parquet" ] || return 0
    while [ "$(jobs -rp | wc -l)" -ge "$AT_ONCE" ]; do wait -n; done
    say "recording $name"
    : >"$labels"
    "$OSD" record --quiet -o "$RUNS/$name.parquet" --labels "$labels" -- "$OSD_WORKLOAD" --labels "$labels" "$@" >/dev/null 2>&1 &
}

for load in steady irregular; do
    for seed in $SEEDS; do
        for strength in 0.5 1 2; do
            x=x$strength
            # 2 s: at the start. 150 s: two at once.
            record "trouble-$load-$seed-$x" --seed "$seed${strength/./}" --load $load --duration 200s \
                --fault "enoent_storm@2s+4s$x" --fault "slow_leak@30s+40s$x" --fault "stall@85s+5s$x" \
                --fault "slow_peer@105s+15s$x" --fault "fsync_storm@150s+6s$x" --fault "fork_burst@151s+5s$x" \
                --fault "missed_job@170s+16s$x"
        done
    done
    for seed in $QUIET_SEEDS; do record "quiet-$load-$seed" --seed "$seed" --load $load --duration "$QUIET"; done
done
wait

for load in steady irregular; do
    for x in x0.5 x1 x2; do
        say "$load load, $x"
        "$OSD" eval "$RUNS"/trouble-$load-*-$x.parquet | tee "$RUNS/trouble-$load-$x.txt"
    done
    [ -n "$QUIET_SEEDS" ] || continue
    say "$load load, quiet"
    "$OSD" eval "$RUNS"/quiet-$load-*.parquet | tee "$RUNS/quiet-$load.txt"
done
if command -v python3 >/dev/null; then
    say "the second look"
    python3 "$(dirname "$0")/second-look.py" "$OSD" "$RUNS"/*.parquet | tee "$RUNS/second-look.txt"
fi
