#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""buffers.py LAUNCH-JSON BUFFERS: what a run's plan says each device holds, against what was allocated there.

BUFFERS is what tests/fake/lib_buffers.c wrote while the run went on, to the byte. What is alive when the last
buffer is made is what the run holds; later ones are only freed. A buffer on no GPU is the host's. A mapped file is one buffer from
the first weight of the host to the last, with what lies between, and costs memory only where it is read. One line a
device; exit 1 when one differs.
"""
import json
import sys


def held(path):
    """Bytes by the name of the buffer's type, when the last buffer has been made."""
    lines = [line.split() for line in open(path)]
    last = max(i for i, line in enumerate(lines) if line[0] == '+')
    alive = {}
    for line in lines[:last + 1]:
        if line[0] == '+':
            alive[line[1]] = (line[2], int(line[3]))
        else:
            alive.pop(line[1], None)
    total = {}
    for name, size in alive.values():
        total[name] = total.get(name, 0) + size
    return total


def main():
    proof = json.load(open(sys.argv[1]))['proof']
    total = held(sys.argv[2])
    gpus = {row['name'] for row in proof if row['backend'] != 'cpu'}
    bad = False
    for row in proof:
        found = {n: b for n, b in total.items() if (n == row['name'] if row['backend'] != 'cpu' else n not in gpus)}
        planned = sum(row['planned'][k + '_bytes'] for k in ('weights', 'kv', 'compute'))
        mapped = found.get('CPU_Mapped', 0) if gpus else 0
        if mapped > row['planned']['weights_bytes']:
            planned += mapped - row['planned']['weights_bytes']
        bad |= planned != sum(found.values())
        print(row['name'], planned, sum(found.values()), found, row['planned'])
    return bad


sys.exit(main())
