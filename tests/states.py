# SPDX-License-Identifier: MIT
"""The monitor's JSON of moments nobody sees, held to its schema: states.py PROGRAM SEED COUNT.

jsonschema takes 15 ms for one: most are checked by the schema made into functions of Python here, in a fifteenth of that, and
some of those, spoiled at random, by jsonschema too; both must say the same. A keyword that is not known here is refused.
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
SILENT = {"description", "title", "$schema", "$defs", "then", "else"}
# What json gives for a type; it has no other classes.
CLASSES = {"object": ["dict"], "array": ["list"], "string": ["str"], "boolean": ["bool"], "null": ["type(None)"],
           "integer": ["int"], "number": ["int", "float"]}
space = {"re": re}  # of the functions that are made, and what they need


def named(value):
    """A name for it in the functions that are made."""
    name = f"k{len(space)}"
    space[name] = value
    return name


def made(schema, name=None):
    """The name of a function: whether a value is as the schema says."""
    name = name or named(None)
    exec(f"def {name}(v):\n return {test(schema, 'v')}", space)  # pylint: disable=exec-used
    return name


def reference(ref, v):
    name = "ref_" + ref.removeprefix("#/$defs/")
    if name not in space:
        space[name] = None  # of a schema in itself
        made(SCHEMA["$defs"][name.removeprefix("ref_")], name)
    return f"{name}({v})"


def typed(names, v):
    names = [names] if isinstance(names, str) else names
    classes = ", ".join(c for n in names for c in CLASSES[n])
    whole = f" or type({v}) is float and {v}.is_integer()" if "integer" in names else ""
    return f"(type({v}) in ({classes},){whole})"


def properties(rows, v):
    tests = []
    for key, schema in rows.items():
        inner = named(None)
        # Looked up once; the list, which is never empty, holds the assignment.
        tests.append(f"({key!r} not in {v} or [{inner} := {v}[{key!r}]] and {test(schema, inner)})")
    return f"(type({v}) is not dict or {' and '.join(tests)})"


KEYWORDS = {
    "$ref": reference,
    "type": typed,
    "properties": properties,
    "items": lambda schema, v: f"(type({v}) is not list or all(map({made(schema)}, {v})))",
    "allOf": lambda schemas, v: "(" + " and ".join(test(s, v) for s in schemas) + ")",
    "required": lambda keys, v: f"(type({v}) is not dict or {named(set(keys))} <= {v}.keys())",
    "enum": lambda values, v: f"({v} in {named(values)})",
    "const": lambda value, v: f"({v} == {named(value)})",
    "pattern": lambda p, v: f"(type({v}) is not str or {named(re.compile(p))}.search({v}) is not None)",
    "minimum": lambda n, v: f"(type({v}) not in (int, float) or {v} >= {n!r})",
}


def test(schema, v):
    """An expression: whether v is as the schema says."""
    tests = [KEYWORDS[k](s, v) for k, s in schema.items() if k not in SILENT and k != "if"]
    if "if" in schema:
        when, then, other = (test(schema.get(k, {}), v) for k in ("if", "then", "else"))
        tests.append(f"({then} if {when} else {other})")
    return f"({' and '.join(tests) or True})"


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
    ours, theirs = space[made(SCHEMA)], jsonschema.Draft202012Validator(SCHEMA)
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
