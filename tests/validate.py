"""Validate a JSON answer against a JSON Schema: validate.py SCHEMA FILE (or - for standard input)."""
import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1], encoding="utf-8"))
answer = json.load(sys.stdin if sys.argv[2] == "-" else open(sys.argv[2], encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(answer), key=str)
for e in errors:
    print("/".join(map(str, e.absolute_path)) or "(top)", e.message)
sys.exit(bool(errors))
