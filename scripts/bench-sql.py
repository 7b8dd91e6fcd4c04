#!/usr/bin/env python3
"""Ten questions of forensics, each asked by `osd sql` and by DuckDB of the same recording, in turns.

    scripts/bench-sql.py OSD FOLDER [ROUNDS]

Makes FOLDER/mix.parquet once: a live recording, by osd, of what scripts/bench-sql.c does (CALLS=30000000 of them, as root). Every
question is a process of its own. Of osd all of it counts, from its start to its end. Of DuckDB the start of the engine, opening the file
and the answer count, and loading Python and the module do not: the process is a fork of one that has them. Both have THREADS=2. The
answers are compared, and one that differs ends the benchmark. Seconds are medians of the rounds: elapsed, then of processor time, which
other work on the machine disturbs less. RATIOS are DuckDB's time by osd's: above 1, osd is faster. ONLY=3,7 asks some of them.

Needs `pip install duckdb`, cc, and to record: root.
"""

import csv
import datetime
import io
import itertools
import math
import os
import pathlib
import pickle
import re
import statistics
import subprocess
import sys
import time

import duckdb

# What is asked, as both say it; `{bucket}` is the one function that they spell differently, `{from}` and `{to}` a second of the recording.
QUESTIONS = [
    ("calls by name", "SELECT syscall, count(*) AS n FROM syscalls GROUP BY syscall ORDER BY n DESC, syscall"),
    (
        "calls and time inside by thread",
        "SELECT tid, count(*) AS n, sum(dur_ns) AS ns FROM syscalls GROUP BY tid ORDER BY ns DESC, tid",
    ),
    (
        "the twenty slowest",
        "SELECT ts, tid, syscall, dur_ns, ret, path FROM syscalls ORDER BY dur_ns DESC, ts, tid LIMIT 20",
    ),
    (
        "what happened in one second",
        "SELECT syscall, count(*) AS n, max(dur_ns) AS longest FROM syscalls WHERE ts >= {from} AND ts < {to}"
        " GROUP BY syscall ORDER BY n DESC, syscall",
    ),
    (
        "errors by call and errno",
        "SELECT syscall, errno, count(*) AS n FROM syscalls WHERE errno > 0 GROUP BY syscall, errno ORDER BY n DESC, syscall, errno",
    ),
    (
        "99th percentile by call",
        "SELECT syscall, percentile_cont(0.99) WITHIN GROUP (ORDER BY dur_ns) AS p99 FROM syscalls GROUP BY syscall ORDER BY syscall",
    ),
    ("calls a second", "SELECT {bucket} AS second, count(*) AS n FROM syscalls GROUP BY second ORDER BY second"),
    (
        "files by how often they were opened",
        "SELECT path, count(*) AS n, sum(CASE WHEN ret < 0 THEN 1 ELSE 0 END) AS failed FROM syscalls WHERE syscall = 'openat'"
        " GROUP BY path ORDER BY n DESC, path LIMIT 50",
    ),
    (
        "bytes by descriptor",
        "SELECT fd, syscall, count(*) AS n, sum(ret) AS bytes FROM syscalls WHERE syscall IN ('read', 'write') AND ret >= 0"
        " GROUP BY fd, syscall ORDER BY bytes DESC, fd, syscall",
    ),
    (
        "what one thread did in a second",
        "SELECT ts, syscall, fd, path, ret, dur_ns FROM syscalls WHERE tid = {tid} AND ts >= {from} AND ts < {to} AND path IS NOT NULL"
        " ORDER BY ts",
    ),
]

THREADS = int(os.environ.get("THREADS", "2"))


def make(osd, folder):
    """The recording, if it is not there yet."""
    path = folder / "mix.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = pathlib.Path(__file__).with_name("bench-sql.c")
        subprocess.run(["cc", "-O2", "-pthread", "-o", folder / "mix", source], check=True)
        (folder / "files").mkdir(exist_ok=True)
        calls = os.environ.get("CALLS", "30000000")
        subprocess.run([osd, "record", "-o", path, "--", folder / "mix", calls, folder / "files"], check=True)
    return path


def connect(path):
    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE VIEW syscalls AS SELECT * FROM '{path}' WHERE kind = 'syscall'")
    return connection


def by_duckdb(path, question):
    """Rows, seconds elapsed, seconds of processor time."""
    readable, writable = os.pipe()
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        rows = connect(path).execute(question).fetchall()
        with os.fdopen(writable, "wb") as out:
            pickle.dump(rows, out)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as answer:
        pickled = answer.read()
    _, status, used = os.wait4(child, 0)
    elapsed = time.perf_counter() - began
    if status != 0:
        sys.exit(f"DuckDB cannot: {question}")
    return pickle.loads(pickled), elapsed, used.ru_utime + used.ru_stime


def by_osd(osd, path, question):
    began = time.perf_counter()
    environment = {**os.environ, "TOKIO_WORKER_THREADS": str(THREADS)}
    command = [osd, "sql", path, question, "--format", "csv"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    text = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    elapsed = time.perf_counter() - began
    if status != 0:
        sys.exit(f"osd cannot: {question}")
    return list(csv.reader(io.StringIO(text)))[1:], elapsed, used.ru_utime + used.ru_stime


def plain(value):
    """A value as both are compared: numbers as numbers, times as seconds since 1970 to the microsecond, which Python's have."""
    if value is None or value == "":
        return ""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.timezone.utc).isoformat(timespec="microseconds")[:26]
    if isinstance(value, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\d[T ].*", value):
            stamp = value.replace(" ", "T").removesuffix("Z").removesuffix("+00:00")
            whole, _, part = stamp.partition(".")
            return f"{whole}.{part.ljust(6, '0')[:6]}"
        if re.fullmatch(r"-?\d+(\.0)?", value):
            return int(value.removesuffix(".0"))
        try:
            return float(value)
        except ValueError:
            return value
    return value if isinstance(value, float) else int(value)


def same(mine, yours):
    """Equal to the digit, but for fractions: what is between two values DataFusion knows to a millionth of their distance."""
    if isinstance(mine, float) or isinstance(yours, float):
        return math.isclose(mine, yours, rel_tol=1e-5)
    return mine == yours


def differing(mine, yours):
    """Pairs of rows that are not the same."""
    rows = [([plain(v) for v in a], [plain(v) for v in b]) for a, b in itertools.zip_longest(mine, yours, fillvalue=[])]
    return [(a, b) for a, b in rows if len(a) != len(b) or not all(map(same, a, b))]


def main():
    osd, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    path = make(osd, folder)
    seen = connect(path)
    n, first, tid = seen.execute("SELECT count(*), min(ts)::VARCHAR, max(tid) FROM syscalls").fetchone()
    begin = datetime.datetime.fromisoformat(first[:19]) + datetime.timedelta(seconds=10)
    seen.close()
    stamp = lambda seconds: f"TIMESTAMP '{(begin + datetime.timedelta(seconds=seconds)).isoformat(sep=' ')}'"
    spans = {"from": stamp(0), "to": stamp(1), "tid": tid}
    version = subprocess.run([osd, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version} and DuckDB {duckdb.__version__}, {THREADS} threads each, {rounds} rounds: {n:,} calls, {path.stat().st_size >> 20} MiB")
    print()
    print("| question | osd | DuckDB | ratio | osd, CPU | DuckDB, CPU | ratio |")
    print("|---|---|---|---|---|---|---|")
    only = {int(n) - 1 for n in os.environ.get("ONLY", "").split(",") if n}
    ratios = ([], [])
    for number, (name, question) in enumerate(QUESTIONS):
        if only and number not in only:
            continue
        ours = question.format(bucket="time_bucket('1s', ts)", **spans)
        theirs = question.format(bucket="time_bucket(INTERVAL '1 second', ts)", **spans)
        times = ([], [], [], [])
        for turn in range(rounds + 1):
            mine, wall, used = by_osd(osd, path, ours)
            yours, wall2, used2 = by_duckdb(path, theirs)
            if differ := differing(mine, yours):
                sys.exit(f"the answers differ: {name}: {len(mine)} and {len(yours)} rows; {differ[:3]}")
            # The first turn warms what the kernel keeps of the file.
            if turn > 0:
                for into, value in zip(times, (wall, wall2, used, used2)):
                    into.append(value)
        wall, wall2, used, used2 = map(statistics.median, times)
        ratios[0].append(wall2 / wall)
        ratios[1].append(used2 / used)
        print(f"| {name} | {wall:.3f} | {wall2:.3f} | {wall2 / wall:.2f} | {used:.3f} | {used2:.3f} | {used2 / used:.2f} |", flush=True)
    print()
    print("median ratio {:.2f}, of processor time {:.2f}; least {:.2f} and {:.2f}".format(
        *map(statistics.median, ratios), *map(min, ratios)))


if __name__ == "__main__":
    main()
