#!/usr/bin/env bash
# Does a recorder's memory stay flat where processes come and go? Records a program that runs a hundred thousand others, one after the other
# at an even pace, for an hour, and prints the recorder's memory as it goes. Needs root to record. Called by `make churn`.
#
#   PROCESSES=100000   how many
#   MINUTES=60         for how long
set -euo pipefail

OSD=${OSD:-target/release/osd}
PROCESSES=${PROCESSES:-100000}
MINUTES=${MINUTES:-60}

fail() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || fail "recording with eBPF needs root" "run: sudo make churn"
[ -x "$(command -v "$OSD" || true)" ] || fail "$OSD is not there" "build first: cargo build --release --workspace"

run=$(mktemp -d)
recorder=
# In the background it does not hear Ctrl-C; asked to end, it ends what it records too.
trap '[ -z "$recorder" ] || kill "$recorder" 2>/dev/null || true; wait; rm -rf "$run"' EXIT
cat >"$run/churn.py" <<'PYTHON'
import subprocess, sys, time
processes, seconds = int(sys.argv[1]), float(sys.argv[2])
began = time.monotonic()
for i in range(processes):
    subprocess.run(["/bin/true"])
    ahead = began + (i + 1) * seconds / processes - time.monotonic()
    if ahead > 0:
        time.sleep(ahead)
PYTHON

"$OSD" record --quiet -o "$run/churn.parquet" -- python3 "$run/churn.py" "$PROCESSES" $((MINUTES * 60)) &
recorder=$!
echo "minute  resident, MiB  of it anonymous  at most"
began=$SECONDS
step=$((MINUTES > 12 ? 300 : MINUTES * 60 / 12 + 1))
next=$((step < 120 ? step : 120))
while kill -0 "$recorder" 2>/dev/null; do
    sleep 1
    if [ $((SECONDS - began)) -ge "$next" ]; then
        awk -v minute=$(((SECONDS - began) / 60)) '
            { kib[$1] = $2 }
            END { if (kib["VmRSS:"]) printf "%6d  %13.1f  %15.1f  %7.1f\n", minute, kib["VmRSS:"] / 1024, kib["RssAnon:"] / 1024, kib["VmHWM:"] / 1024 }
        ' "/proc/$recorder/status" 2>/dev/null || true
        next=$((next < step ? step : next + step))
    fi
done
wait "$recorder" || fail "the recorder failed" "run it by hand: $OSD record -- /bin/true"
"$OSD" info "$run/churn.parquet"
