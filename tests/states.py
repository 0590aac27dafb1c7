# SPDX-License-Identifier: MIT
"""The monitor's JSON of moments nobody sees, held to its schema: states.py PROGRAM SEED COUNT.

jsonschema takes 15 ms for one: most are checked by the schema made into functions here, and some of those, spoiled
at random, by jsonschema too; both must say the same. A keyword that is not known here is refused.
"""
import copy
import json
import random
import re
import subprocess
import sys

import jsonschema

BESIDE = 100  # of so many one goes to jsonschema too
SCHEMA = json.load(open("docs/schema/top.json", encoding="utf-8"))
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: not isinstance(v, bool) and (isinstance(v, int) or isinstance(v, float) and v.is_integer()),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}
SILENT = {"description", "title", "$schema", "$defs", "then", "else"}
made = {}


def reference(ref):
    if ref not in made:
        made[ref] = None  # of a schema in itself
        made[ref] = function(SCHEMA["$defs"][ref.removeprefix("#/$defs/")])
    return made[ref] or (lambda v: made[ref](v))


def typed(names):
    tests = [TYPES[n] for n in ([names] if isinstance(names, str) else names)]
    return lambda v: any(t(v) for t in tests)


def properties(rows):
    tests = [(k, function(s)) for k, s in rows.items()]
    return lambda v: not isinstance(v, dict) or all(t(v[k]) for k, t in tests if k in v)


def items(schema):
    test = function(schema)
    return lambda v: not isinstance(v, list) or all(map(test, v))


def every(schemas):
    tests = [function(s) for s in schemas]
    return lambda v: all(t(v) for t in tests)


KEYWORDS = {
    "$ref": reference,
    "type": typed,
    "properties": properties,
    "items": items,
    "allOf": every,
    "required": lambda keys: lambda v: not isinstance(v, dict) or all(k in v for k in keys),
    "enum": lambda values: lambda v: v in values,
    "const": lambda value: lambda v: v == value,
    "pattern": lambda p: lambda v: not isinstance(v, str) or re.search(p, v) is not None,
    "minimum": lambda n: lambda v: not TYPES["number"](v) or v >= n,
}


def function(schema):
    tests = [KEYWORDS[k](s) for k, s in schema.items() if k not in SILENT and k != "if"]
    if "if" in schema:
        when, then, other = (function(schema.get(k, {})) for k in ("if", "then", "else"))
        tests.append(lambda v: then(v) if when(v) else other(v))
    return lambda v: all(t(v) for t in tests)


def spoil(o):
    """Something in it taken away, or put in the place of something else."""
    at = o
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        inner = [k for k in keys if isinstance(at[k], (dict, list)) and at[k]]
        if not inner or random.random() < 0.2:
            break
        at = at[random.choice(inner)]
    key = random.choice(list(at) if isinstance(at, dict) else range(len(at)))
    if random.random() < 0.5:
        del at[key]
    else:
        at[key] = random.choice([None, True, -1, 1.5, "x", [], {}])


def main(program, seed, count):
    random.seed(seed)
    ours, theirs = function(SCHEMA), jsonschema.Draft202012Validator(SCHEMA)
    n = spoiled = 0
    with subprocess.Popen([program, seed, count], stdout=subprocess.PIPE) as p:
        for line in p.stdout:
            o = json.loads(line.decode("utf-8"))
            n += 1
            if not ours(o):
                e = next(theirs.iter_errors(o))
                sys.exit(f"state {n} of seed {seed}: {'/'.join(map(str, e.absolute_path))}: {e.message[:300]}")
            if n % BESIDE:
                continue
            bad = copy.deepcopy(o)
            spoil(bad)
            if not theirs.is_valid(o) or theirs.is_valid(bad) != ours(bad):
                sys.exit(f"state {n} of seed {seed}: this checker and jsonschema do not agree")
            spoiled += not ours(bad)
    if p.returncode or n != int(count):
        sys.exit(f"{n} of {count} states, exit {p.returncode}")
    if n >= 20 * BESIDE and not spoiled:
        sys.exit("no spoiled state was refused")
    print(f"{n} states, of {n // BESIDE} spoiled ones {spoiled} refused")


main(*sys.argv[1:])
