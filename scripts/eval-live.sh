#!/usr/bin/env bash
# How good a model is on live recordings: records a service that behaves (some for training, some kept back) and the same service
# misbehaving in ten ways at three strengths; trains; compares what each command finds with what was done. Needs root to record, and a
# machine that does nothing else: what other work does to the service is in the recordings. Called by `make eval-live`.
#
#   RUNS=eval-live          folder for recordings, model and tables; recordings that are there are not made again
#   NORMAL_SEEDS, NORMAL    training: one recording a seed, that long each
#   HELD_SEEDS, HELD        normal recordings that the model never sees
#   FAULT_SEEDS             for each seed one recording a strength, 160 s, ten faults of 5 s
set -euo pipefail
# shellcheck source=scripts/eval.sh
. "$(dirname "$0")/eval.sh"

RUNS=${RUNS:-eval-live}
NORMAL_SEEDS=${NORMAL_SEEDS:-1 2 3 4}
NORMAL=${NORMAL:-150s}
HELD_SEEDS=${HELD_SEEDS:-11 12}
HELD=${HELD:-300s}
FAULT_SEEDS=${FAULT_SEEDS:-21 22}
STRENGTHS=${STRENGTHS:-0.5 1 2}
FAULTS="cpu_burn memory_growth outgoing_transfer fsync_storm metadata_storm lock_contention fd_leak fork_burst enoent_storm eagain_storm"

mkdir -p "$RUNS"

record() { # NAME ARGUMENTS-OF-THE-WORKLOAD...
    local name=$1 labels=$RUNS/$1.ndjson
    shift
    [ ! -e "$RUNS/$name.parquet" ] || return 0
    say "recording $name"
    : >"$labels"
    "$OSD" record --quiet -o "$RUNS/$name.parquet" --labels "$labels" -- "$OSD_WORKLOAD" --labels "$labels" "$@" >/dev/null
}

for seed in $NORMAL_SEEDS; do record "normal-$seed" --seed "$seed" --duration "$NORMAL"; done
for seed in $HELD_SEEDS; do record "held-$seed" --seed "$seed" --duration "$HELD"; done
for seed in $FAULT_SEEDS; do
    for strength in $STRENGTHS; do
        faults=()
        start=20
        for fault in $FAULTS; do
            faults+=(--fault "$fault@${start}s+5sx$strength")
            start=$((start + 14))
        done
        # Each with traffic of its own: one seed a recording.
        record "fault-$seed-x$strength" --seed "$seed${strength/./}" --duration 160s "${faults[@]}"
    done
done

say "training"
began=$SECONDS
"$OSD" train "$RUNS"/normal-*.parquet -o "$RUNS/model" --force
say "training took $((SECONDS - began)) s"

say "normal recordings that were kept back"
"$OSD" eval "$RUNS"/held-*.parquet --model "$RUNS/model" | tee "$RUNS/held.txt"
say "faults"
"$OSD" eval "$RUNS"/fault-*.parquet --model "$RUNS/model" | tee "$RUNS/faults.txt"
