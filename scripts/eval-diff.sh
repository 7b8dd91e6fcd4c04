#!/bin/sh
# How often `osd diff` calls two runs of the same different: pairs of recordings of the quiet workload, one recording a side, and the same
# recordings as sets of four. RUNS (40), AT_ONCE (8), SECONDS_EACH (45) and FOLDER can be set; recordings that are there are kept.
set -eu
: "${OSD:?}" "${OSD_WORKLOAD:?}"
runs=${RUNS:-40} at_once=${AT_ONCE:-8} each=${SECONDS_EACH:-45} folder=${FOLDER:-$(mktemp -d)}
mkdir -p "$folder"
cd "$folder"

record() {
    test -e "same-$1.parquet" || "$OSD" record -o "same-$1.parquet" -- "$OSD_WORKLOAD" --duration "${each}s" --seed "$1" \
        >"same-$1.log" 2>&1
}
i=0
while [ "$i" -lt "$runs" ]; do
    jobs=''
    for k in $(seq "$i" $((i + at_once - 1))); do
        [ "$k" -lt "$runs" ] || break
        record "$k" &
        jobs="$jobs $!"
    done
    for job in $jobs; do wait "$job"; done
    i=$((i + at_once))
done

compare() { # name, arguments of osd diff
    name=$1
    shift
    status=0
    "$OSD" diff "$@" >"$name.txt" 2>"$name.err" || status=$?
    case $status in
        0) same=$((same + 1)) ;;
        1) differ=$((differ + 1)); echo "$name: $(head -1 "$name.txt")" ;;
        *) echo "$name: $(head -1 "$name.txt" "$name.err")"; no_data=$((no_data + 1)) ;;
    esac
}
tell() {
    echo "$1: $same same, $differ differ, $no_data without data"
}

same=0 differ=0 no_data=0
for i in $(seq 0 2 $((runs - 2))); do
    compare "pair-$i" "same-$i.parquet" "same-$((i + 1)).parquet"
done
tell "one recording a side"
grep -h '^no difference' pair-*.txt | sed 's/.*change of //' | sort | uniq -c | sort -rn | head -5 || true

same=0 differ=0 no_data=0
for i in $(seq 0 8 $((runs - 8))); do
    compare "set-$i" --before "same-$i.parquet" "same-$((i + 1)).parquet" "same-$((i + 2)).parquet" "same-$((i + 3)).parquet" \
        --after "same-$((i + 4)).parquet" "same-$((i + 5)).parquet" "same-$((i + 6)).parquet" "same-$((i + 7)).parquet"
done
tell "four recordings a side"
