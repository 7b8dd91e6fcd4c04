#!/usr/bin/env bash
# How often `osd analyze` finds something where nothing happens: redis, nginx and PostgreSQL under a rate-limited load, and the workload under a
# steady and an irregular one, recorded side by side on loopback. Every window is a false one. Needs root to record, the servers of Debian's
# packages, and a machine that does nothing else. Called by `make eval-quiet`.
#
#   RUNS=eval-quiet   folder for recordings and tables; recordings that are there are not made again
#   QUIET=2160s       how long: five recordings of 36 minutes are three hours
set -euo pipefail
# shellcheck source=scripts/eval.sh
. "$(dirname "$0")/eval.sh"

RUNS=${RUNS:-eval-quiet}
QUIET=${QUIET:-2160s}

# Debian has nginx where only root looks, and PostgreSQL's programs outside of PATH, by version.
PATH=$PATH:/usr/sbin
PG=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
for program in redis-server nginx python3 "$PG/pgbench"; do
    command -v "$program" >/dev/null || fail "$program is not there" "apt-get install redis-server nginx-light postgresql python3"
done
mkdir -p "$RUNS"
WORK=$(mktemp -d)
STARTED=()
end() { for pid in "${STARTED[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$WORK"; }
trap end EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# As the user that PostgreSQL wants to run as: not root.
AS_POSTGRES="setpriv --reuid=postgres --regid=postgres --clear-groups"

# So many requests a second, as they come (Poisson), each what PORT and KIND say.
cat >"$WORK/load.py" <<'PYTHON'
import random, socket, sys, time
port, kind, rate = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
random.seed(7)
s = socket.create_connection(("127.0.0.1", port))
f = s.makefile("rb")
next_at = time.monotonic()
while True:
    next_at += random.expovariate(rate)
    time.sleep(max(0.0, next_at - time.monotonic()))
    if kind == "redis":
        key = random.randrange(1000)
        s.sendall(b"SET k%d %s\r\n" % (key, b"v" * 100) if random.random() < 0.2 else b"GET k%d\r\n" % key)
        line = f.readline()
        if line.startswith(b"$") and int(line[1:]) >= 0:
            f.read(int(line[1:]) + 2)
    else:
        s.sendall(b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n")
        length = 0
        while (line := f.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        f.read(length)
        if line == b"":
            s = socket.create_connection(("127.0.0.1", port))
            f = s.makefile("rb")
PYTHON

record() { # NAME ARGUMENTS-OF-RECORD...
    local name=$1
    shift
    [ -e "$RUNS/$name.parquet" ] && return
    "$OSD" record --quiet -o "$RUNS/$name.parquet" "$@" >/dev/null 2>&1 &
    RECORDERS+=($!)
}
RECORDERS=()

at=$(port)
mkdir "$WORK/redis"
redis-server --port "$at" --bind 127.0.0.1 --dir "$WORK/redis" --appendonly yes --daemonize no >/dev/null &
redis=$!
STARTED+=("$redis")
sleep 1
python3 "$WORK/load.py" "$at" redis 200 &
STARTED+=($!)

at=$(port)
mkdir -p "$WORK/nginx/html"
head -c 20000 /dev/urandom | base64 >"$WORK/nginx/html/index.html"
cat >"$WORK/nginx/nginx.conf" <<CONF
daemon off; worker_processes 1; pid $WORK/nginx/pid; error_log $WORK/nginx/error.log; user root;
events {}
http { access_log $WORK/nginx/access.log; keepalive_requests 1000; server { listen 127.0.0.1:$at; root $WORK/nginx/html; } }
CONF
nginx -p "$WORK/nginx" -c "$WORK/nginx/nginx.conf" 2>/dev/null &
nginx=$!
STARTED+=("$nginx")
sleep 1
python3 "$WORK/load.py" "$at" http 100 &
STARTED+=($!)

at=$(port)
chmod 711 "$WORK"
mkdir "$WORK/pg"
chown postgres: "$WORK/pg"
(cd / && $AS_POSTGRES "$PG/initdb" --auth=trust --username=postgres --no-sync -D "$WORK/pg/data" >/dev/null)
(cd / && exec $AS_POSTGRES "$PG/postgres" -D "$WORK/pg/data" -p "$at" -c listen_addresses=127.0.0.1 -c unix_socket_directories= >/dev/null 2>&1) &
postgres=$!
STARTED+=("$postgres")
for _ in $(seq 50); do "$PG/pg_isready" -q -h 127.0.0.1 -p "$at" && break; sleep 0.2; done
"$PG/pgbench" -i -q -s 2 -h 127.0.0.1 -p "$at" -U postgres postgres >/dev/null 2>&1
"$PG/pgbench" -n -c 4 -R 50 -T 100000 -h 127.0.0.1 -p "$at" -U postgres postgres >/dev/null 2>&1 &
STARTED+=($!)

say "waiting for the servers to settle, then recording for $QUIET"
sleep 10
record redis --duration "$QUIET" -p "$redis"
record nginx --duration "$QUIET" -p "$nginx"
record postgres --duration "$QUIET" -p "$postgres"
record steady --duration "$QUIET" -- "$OSD_WORKLOAD" --seed 81 --load steady --duration "$QUIET"
record irregular --duration "$QUIET" -- "$OSD_WORKLOAD" --seed 82 --load irregular --duration "$QUIET"
[ ${#RECORDERS[@]} -eq 0 ] || wait "${RECORDERS[@]}"

for name in redis nginx postgres steady irregular; do
    say "$name"
    "$OSD" analyze "$RUNS/$name.parquet" | tee "$RUNS/$name.txt" | grep -E '^(#|[0-9]+ window|nothing)' || true
done
