#!/usr/bin/env python3
"""What the second look says of windows that are true, by the labels in recordings, and of those that are not.

    scripts/second-look.py OSD RECORDING...

A window is true if it overlaps a label, or begins within 3 s after one: what was held up is caught up then. Called by
scripts/eval-trouble.sh.
"""
import json
import subprocess
import sys

osd, recordings = sys.argv[1], sys.argv[2:]
true, false, voters = [], [], {}
for path in recordings:
    out = subprocess.run([osd, "analyze", path, "--format", "json"], stdout=subprocess.PIPE, check=False)
    findings = json.loads(out.stdout)
    for w in findings["windows"]:
        look = w.get("second_look")
        labels = findings["labels"]
        is_true = any(w["start_ns"] < l["ts_ns"] + l["dur_ns"] + 3e9 and w["end_ns"] > l["ts_ns"] for l in labels)
        (true if is_true else false).append((look, w, path))
        for side, agrees in (("agree", 1), ("disagree", 0)) if look else ():
            for name in look[side]:
                of = voters.setdefault(name, {True: [0, 0], False: [0, 0]})[is_true]
                of[0] += agrees
                of[1] += 1

print("agree      true   false")
for n in range(8):
    count = lambda windows: sum(1 for look, *_ in windows if look and len(look["agree"]) == n)
    print(f"{n} of 7  {count(true):7} {count(false):7}")
print(f"not asked {sum(not l for l, *_ in true):6} {sum(not l for l, *_ in false):7}")
for name, of in sorted(voters.items()):
    print(f"{name:9} {of[True][0]:3} of {of[True][1]:3} true, {of[False][0]:3} of {of[False][1]:3} false")
for look, w, path in false:
    agree = len(look["agree"]) if look else "-"
    print(f"false: {path} {w['pattern']} {(w['start_ns'] - w['end_ns']) / -1e9:.1f} s, {agree} agree: {w['sentence'][:90]}")
