#!/usr/bin/env python3
"""Rows a second of `osd replay --speed max` beside DuckDB, which scans the same columns, in one run.

    scripts/bench-replay.py OSD RECORDING [ROUNDS]

osd puts the rows of all kinds into the order in which they were known, on one thread; DuckDB only decodes them (an aggregate of each column
makes it), on one thread and on all. Rounds alternate, so that what else the machine does is fair to both. Needs `pip install duckdb`.
"""

import re
import statistics
import subprocess
import sys
import time

import duckdb


def replay(osd, path):
    began = time.perf_counter()
    out = subprocess.run([osd, "replay", path, "--speed", "max"], check=True, capture_output=True, text=True)
    rows = int(re.sub(r"\D", "", out.stderr.split(" rows")[0].split("replayed")[-1]))
    return rows / (time.perf_counter() - began), rows


def scan(path, threads):
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()]
    wanted = ", ".join(f'max("{column}")' for column in columns if column != "latency_log2")
    began = time.perf_counter()
    rows = connection.execute(f"SELECT count(*), {wanted} FROM '{path}'").fetchone()[0]
    return rows / (time.perf_counter() - began), rows


def main():
    osd, path = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    threads = duckdb.connect().execute("SELECT current_setting('threads')").fetchone()[0]
    speeds = {"osd replay": [], "duckdb, 1 thread": [], f"duckdb, {threads} threads": []}
    for _ in range(rounds):
        for name, run in zip(speeds, (lambda: replay(osd, path), lambda: scan(path, 1), lambda: scan(path, threads))):
            speed, rows = run()
            speeds[name].append(speed)
    best = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"{rows:,} rows, median of {rounds} rounds")
    for name, speed in best.items():
        print(f"{name:20} {speed / 1e6:6.2f} million rows a second; osd replay is {best['osd replay'] / speed:.2f} of that")


if __name__ == "__main__":
    main()
