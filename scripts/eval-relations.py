#!/usr/bin/env python3
"""How well `osd relations` finds attacks of three strengths, how soon, and how long after their end it is over.

Records the workload three times at rest to learn from, three times to count false alarms, and once for each fault at strengths 0.5, 1 and 2,
30 s each. OSD and OSD_WORKLOAD name the programs; FOLDER keeps the recordings, which are not made again; AT_ONCE (3) of them run together.
Arguments are passed on to `osd relations fit`, such as --published.
"""
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

OSD, WORKLOAD = os.environ["OSD"], os.environ["OSD_WORKLOAD"]
FOLDER = os.environ.get("FOLDER") or tempfile.mkdtemp()
FAULTS = ["cpu_burn", "outgoing_transfer", "metadata_storm", "lock_contention", "memory_growth", "enoent_storm", "fsync_storm"]
STRENGTHS, STARTS, LENGTH, WHOLE = ["0.5", "1", "2"], [60, 150, 240], 30, 330
# What follows a fault by less than this many seconds is its echo: a cache that fills again, memory that is freed.
ECHO = 30


def record(name, seconds, seed, faults=()):
    path = os.path.join(FOLDER, name)
    if os.path.exists(path + ".parquet"):
        return
    command = [OSD, "record", "-o", path + ".parquet", "--labels", path + ".ndjson", "--", WORKLOAD, "--wave", "0.5"]
    command += ["--duration", f"{seconds}s", "--seed", str(seed), "--labels", path + ".ndjson"]
    for fault in faults:
        command += ["--fault", fault]
    with open(path + ".log", "w") as log:
        subprocess.run(command, stdout=log, stderr=log, check=True)


def check(model, name):
    out = subprocess.run(
        [OSD, "relations", "check", "-m", model, os.path.join(FOLDER, name + ".parquet"), "--format", "json"], stdout=subprocess.PIPE
    )
    if out.returncode > 1:
        sys.exit(f"{name} could not be checked")
    return json.loads(out.stdout)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    jobs = [(f"normal-{i}", 400, i, ()) for i in range(3)] + [(f"quiet-{i}", 400, 50 + i, ()) for i in range(3)]
    for i, fault in enumerate(FAULTS):
        at = [f"{fault}@{start}s+{LENGTH}sx{strength}" for start, strength in zip(STARTS, STRENGTHS)]
        jobs.append((fault, WHOLE, 90 + i, at))
    with ThreadPoolExecutor(int(os.environ.get("AT_ONCE", "3"))) as pool:
        list(pool.map(lambda job: record(*job), jobs))
    if sys.argv[1:] == ["--record"]:
        return
    model = os.path.join(FOLDER, "model")
    normal = [os.path.join(FOLDER, f"normal-{i}.parquet") for i in range(3)]
    subprocess.run([OSD, "relations", "fit", *normal, "-o", model, "--force", *sys.argv[1:]], check=True)
    quiet = [len(check(model, f"quiet-{i}")["episodes"]) for i in range(3)]
    print(f"\nat rest: {sum(quiet)} episodes in {3 * 400} s\n")
    print("| fault | strength | found after, s | over after its end, s | fitness before, in it | times the threshold | first metric |")
    print("|---|---|---|---|---|---|---|")
    false = 0
    for fault in FAULTS:
        found = check(model, fault)
        with open(os.path.join(FOLDER, fault + ".ndjson")) as labels:
            spans = [json.loads(line) for line in labels]
        spans = [(s["start_ns"] / 1e9, s["end_ns"] / 1e9) for s in spans]
        for strength, (start, end) in zip(STRENGTHS, spans):
            of = [e for e in found["episodes"] if e["start_ns"] / 1e9 < end and e["end_ns"] / 1e9 > start]
            inside = [f for t, f in found["fitness"] if f is not None and start < t / 1e9 < end]
            before = [f for t, f in found["fitness"] if f is not None and start - 30 < t / 1e9 < start]
            fitness = f"{mean(before):.2f}, {min(inside):.2f}"
            if not of:
                print(f"| {fault} | {strength} | – | – | {fitness} | | |")
                continue
            strongest = max(of, key=lambda e: e["severity"])
            first = strongest["metrics"][0]["metric"] if strongest["metrics"] else strongest["by"]
            after, over = of[0]["start_ns"] / 1e9 - start, max(0.0, of[-1]["end_ns"] / 1e9 - end)
            print(f"| {fault} | {strength} | {after:.0f} | {over:.0f} | {fitness} | {strongest['severity']:.1f} | {first} |")
        echo = lambda e: any(e["start_ns"] / 1e9 < end + ECHO and e["end_ns"] / 1e9 > start for start, end in spans)
        false += sum(not echo(e) for e in found["episodes"])
    print(f"\nbetween faults: {false} episodes in {len(FAULTS) * (WHOLE - 3 * (LENGTH + ECHO))} s")


main()
