# SPDX-License-Identifier: MIT
"""JSON schemas, what they must let through, what not, and those that are refused: schemas.py check PROGRAM | engine SOCKET KEY MODEL."""
import datetime
import http.client
import json
import random
import re
import socket
import subprocess
import sys

import jsonschema

sys.path.insert(0, sys.path[0])
from gbnf import Grammar  # noqa: E402

A = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "boolean"}}, "required": ["a"]}
NODE = {"$defs": {"node": {"type": "object", "properties": {
    "v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["v", "next"], "additionalProperties": False}}, "$ref": "#/$defs/node"}


def obj(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


# schema, documents it must take, documents it must not take
TABLE = [
    (obj(name={"type": "string"}, age={"type": "integer"}), ['{"name": "x", "age": 4}', '{"name":"\\u00e9\\n","age":-4}'],
     ['{"age": 4, "name": "x"}', '{"name": "x"}', '{}', '{"name": "x", "age": 4.5}', '{"name": "x", "age": 4, "z": 1}']),
    (A, ['{"a":1}', '{"a":1,"b":"x"}', '{"a":1,"c":true}', '{"a": 1, "b": "x", "c": false}', '{\n  "a": 1,\n  "c": true\n}'],
     ['{}', '{"b":"x"}', '{"a":1,}', '{"a":1 "b":"x"}']),
    ({"type": "object", "properties": {"x": {"type": "null"}, "y": {"type": "null"}, "z": {"type": "null"}}},
     ['{}', '{"x":null}', '{"y":null}', '{"x":null,"z":null}', '{"z":null}'], ['{,"y":null}', '{"z":null,"x":null}']),
    ({"type": "object", "properties": {"x": {"type": "null"}, "y": {"type": "null"}}, "required": ["y"]}, ['{"y":null}', '{"x":null,"y":null}'], ['{"x":null}']),
    (NODE, ['{"v":1,"next":null}', '{"v":1,"next":{"v":2,"next":{"v":3,"next":null}}}'], ['{"v":1,"next":{}}']),
    ({"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "required": ["kids"]},
     ['{"kids":[]}', '{"kids":[{"kids":[]},{"kids":[{"kids":[]}]}]}'], ['{"kids":[1]}']),
    ({"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 7}, "minItems": 2, "maxItems": 4}, ["[3,7]", "[ 4, 5, 6, 7 ]"], ["[3]", "[3,3,3,3,3]", "[2,3]"]),
    ({"type": "array", "maxItems": 0}, ["[]"], ["[1]"]),
    ({"type": "array", "items": {"type": "null"}, "minItems": 1}, ["[null]", "[null,null,null]"], ["[]"]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False}, ['[1,"x"]'], ["[1]", '[1,"x",2]']),
    ({"enum": ["red", "gr\"een", "bl\\ue", 4, 0.1, None, True, {"a": [1]}]}, ['"red"', '"gr\\"een"', '"bl\\\\ue"', "4", "0.1", "null", "true", '{"a":[1]}'], ['"blue"', "5"]),
    ({"enum": ["a", 1, 2.5], "type": ["number"]}, ["1", "2.5"], ['"a"']),
    ({"const": "Zürich"}, ['"Zürich"'], ['"Zurich"']),
    ({"type": "string", "minLength": 2, "maxLength": 5}, ['"ab"', '"äöüß😀"', '"\\u00e4\\n"'], ['"a"', '"abcdef"', '"\\u12"', '"\\ud800x"', '"\\u0000x"']),
    ({"type": "string", "minLength": 250, "maxLength": 700}, ['"' + "x" * n + '"' for n in (250, 251, 349, 350, 351, 500, 699, 700)], ['"' + "x" * n + '"' for n in (0, 249, 701)]),
    ({"type": "string", "maxLength": 100}, ['""', '"' + "x" * 100 + '"'], ['"' + "x" * 101 + '"']),
    ({"type": "string", "minLength": 1500}, ['"' + "x" * 1500 + '"'], ['"' + "x" * 1499 + '"']),
    ({"type": ["string", "null"]}, ['"x"', "null"], ["1"]),
    ({"type": ["integer", "boolean"], "minimum": 5}, ["5", "true"], ["4"]),
    ({"type": "integer", "minimum": -15, "maximum": 1234}, [str(n) for n in (-15, -9, -1, 0, 9, 10, 99, 100, 999, 1000, 1234)], ["-16", "1235", "-99", "007", "5000"]),
    ({"type": "integer", "exclusiveMinimum": 0}, ["1", "10", "123456789"], ["0", "-1"]),
    ({"type": "integer", "minimum": 98, "exclusiveMaximum": 102}, ["98", "99", "100", "101"], ["97", "102", "9", "1000"]),
    ({"type": "integer", "maximum": -5}, ["-5", "-123"], ["-4", "0", "5"]),
    ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, ["1", "2"], ["0", "3"]),
    ({"type": "integer", "multipleOf": 1}, ["1"], ["1.5"]),
    ({"type": "number"}, ["0", "-1.5", "1e9", "2.5E-3"], ["01", ".5", "1."]),
    ({"type": "number", "minimum": 0, "maximum": 1}, ["0", "1", "0.5", "0.25", "0.999999"], ["1.1", "-0.1", "2", "1.0001"]),
    ({"type": "number", "minimum": 0}, ["0", "12.75", "0.123456789"], ["-1", "-0.5"]),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, ["0.5", "0.001", "0.999"], ["0", "1", "0.0"]),
    ({"type": "number", "minimum": -2.5, "maximum": 2.25}, ["-2.50", "2.25", "-1.00", "1.75123", "0.00"], ["2.26", "-2.51", "3.00"]),
    ({"type": "number", "exclusiveMaximum": -1}, ["-1.5", "-20", "-1.001"], ["-1", "0", "-0.5", "1"]),
    ({"type": "number", "minimum": 0.1, "maximum": 0.1}, ["0.1"], ["0.2"]),
    ({"anyOf": [{"type": "boolean"}, obj(x={"type": "integer"})]}, ["true", '{"x":1}'], ["1"]),
    ({"oneOf": [obj(t={"const": "a"}, v={"type": "integer"}), obj(t={"const": "b"}, w={"type": "boolean"})]}, ['{"t":"a","v":1}', '{"t":"b","w":true}'], ['{"t":"a","w":true}']),
    ({"allOf": [{"$ref": "#/definitions/x"}], "definitions": {"x": {"type": "integer"}}, "description": "d"}, ["1"], ['"x"']),
    ({"$ref": "#/$defs/a~1b~0", "$defs": {"a/b~": {"type": "null"}}}, ["null"], ["1"]),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, ["{}", '{"x":1,"y":2}'], ['{"x":"y"}']),
    ({"type": "object"}, ["{}", '{"x":[1,{"y":null}]}'], ["[]"]),
    ({"type": "object", "additionalProperties": False}, ["{}"], ['{"x":1}']),
    ({"type": "object", "required": ["q\"x"]}, ['{"q\\"x": 7}'], ["{}"]),
    ({"properties": {"x": {"minimum": 3}}, "required": ["x"], "title": "T", "default": {}, "x-mine": 1}, ['{"x":3}'], ['{"x":2}']),
    ({"type": "object", "properties": {"any": True}, "required": ["any"]}, ['{"any":[{"x":1.5e3},null,"y"]}'], []),
    ({"type": "string", "format": "date"}, ['"2024-02-28"', '"1999-12-31"'], ['"2024-02-30"', '"2024-13-01"', '"24-01-01"', '"2024-04-31"']),
    ({"type": "string", "format": "time"}, ['"23:59:59Z"', '"10:00:00.5+02:00"'], ['"24:00:00Z"', '"10:00:00"']),
    ({"type": "string", "format": "date-time"}, ['"2024-01-31T10:00:00Z"'], ['"2024-01-31 10:00:00Z"']),
    ({"type": "string", "format": "uuid"}, ['"123e4567-e89b-12d3-a456-426614174000"'], ['"123e4567-e89b-12d3-a456-42661417400"']),
    ({"type": "string", "format": "ipv4"}, ['"255.0.19.200"', '"0.0.0.0"'], ['"256.0.0.1"', '"1.2.3"', '"01.2.3.4"']),
    ({"type": "string", "format": "ipv6"}, ['"fe80:0:0:0:1:2:3:4"'], ['"1:2"']),
    ({"type": "string", "format": "duration"}, ['"P3D"', '"PT20M"', '"P1DT2H"'], ['"P"', '"3D"']),
    ({"type": "string", "format": "email"}, ['"a.b@c.org"'], ['"a@b"', '"@b.c"']),
    ({"type": "string", "format": "hostname"}, ['"a.example-x.org"'], ['"-a.b"']),
    ({"type": "string", "format": "uri"}, ['"https://example.org/a/b"'], ['"example.org"']),
    ({"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(x|yz)?$"}, ['"AB-123"', '"ZZ-12345yz"'], ['"A-123"', '"AB-12"', '"AB-123z"', '"AB-123456"']),
    ({"type": "string", "pattern": "^\\+?[^\\s\"a-y]*\\.$"}, ['"+zZé."', '"."'], ['"a."', '"z z."', '"z"']),
    ({"type": "string", "pattern": "ab+c"}, ['"xxabbbcyy"', '"abc"'], ['"ac"']),
    ({"type": "string", "pattern": "^(?:\\w+@\\w+|none|)$"}, ['"a@b"', '"none"', '""'], ['"a@"', '"non"']),
    ({"type": "string", "pattern": "^C:\\\\[\\w\\\\]*\\t\"?$"}, ['"C:\\\\x\\\\y\\t"', '"C:\\\\\\t\\""'], ['"C:x\\t"']),
    ({"type": "string", "pattern": "^.{2,3}$"}, ['"ab"', '"äöü"'], ['"a"', '"abcd"', '"a\\nb"']),
    (True, ["1", '"x"', '{"a":[]}'], []),
]

# schema, words of the sentence
REFUSED = [
    ({"type": "object", "properties": {"a": {"not": {"type": "null"}}}}, '"not" at #/properties/a'),
    ({"type": "array", "items": {"uniqueItems": True, "type": "array"}}, '"uniqueItems" at #/items'),
    ({"type": "array", "contains": {}}, '"contains" at #'),
    ({"type": "object", "patternProperties": {"x": {}}}, '"patternProperties"'),
    ({"type": "string", "format": "iri"}, '"format" at # is none of date'),
    ({"type": "string", "pattern": "(?=x)"}, '"pattern"'), ({"type": "string", "pattern": "a\\b"}, '"pattern"'),
    ({"type": "string", "pattern": "(a*)*"}, "repetition of what may be nothing"), ({"type": "string", "pattern": "(a"}, "group without its end"),
    ({"type": "string", "pattern": "^a|b$"}, "beside a choice"), ({"type": "string", "pattern": "a{3,2}"}, "makes no sense"), ({"type": "string", "pattern": "[z-a]"}, "range"),
    ({"type": "string", "pattern": "(a)\\1"}, "escape"), ({"type": "string", "pattern": "[a"}, "class without its end"), ({"type": "string", "pattern": "*a"}, "repetition of nothing"),
    ({"type": "string", "pattern": "a)"}, "too many"), ({"type": "string", "pattern": "^" + "a?" * 17 + "$"}, "open lengths"), ({"type": "string", "pattern": "|" * 17}, "open lengths"),
    ({"type": "string", "pattern": "a?.{0,200}"}, "open lengths"),
    ({"type": "string", "pattern": "a", "maxLength": 4}, '"pattern" at # beside a length'),
    ({"type": "thing"}, '"type" at # must be object'), ({"type": []}, '"type"'), ({"type": 5}, '"type"'),
    ({"$ref": "#/$defs/none"}, "#/$defs/none"), ({"$ref": "http://example.org/x"}, '"$ref"'),
    ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "refers to itself"),
    ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "refers to itself"),
    ({"anyOf": []}, '"anyOf"'), ({"anyOf": [{"type": "null"}], "type": "null"}, '"type" at # beside "anyOf"'),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, '"oneOf"'), ({"allOf": [{}, {}]}, '"allOf"'),
    ({"type": "integer", "minimum": 5, "maximum": 4}, "no number"), ({"type": "number", "minimum": 5, "maximum": 4}, "no number"),
    ({"type": "number", "exclusiveMinimum": 4, "maximum": 4}, "no number"), ({"type": "integer", "multipleOf": 3}, '"multipleOf"'),
    ({"type": "number", "minimum": 1e13}, '"minimum"'), ({"type": "number", "minimum": 0.1234567}, "more than 6 digits"),
    ({"type": "string", "minLength": 5, "maxLength": 4}, '"maxLength"'), ({"type": "string", "maxLength": -1}, '"maxLength"'), ({"type": "string", "maxLength": 10 ** 9}, '"maxLength"'),
    ({"type": "array", "minItems": 3, "items": False}, '"items"'), ({"type": "array", "items": [{}]}, '"items"'),
    ({"type": "object", "required": ["x"], "additionalProperties": False}, '"required"'), ({"type": "object", "required": [3]}, '"required"'), ({"type": "object", "properties": 5}, '"properties"'),
    ({"enum": [], "type": "string"}, "no value"), ({"enum": [1], "type": "string"}, "no value"), ({"enum": 5}, '"enum"'), ({"enum": list(range(1001))}, '"enum"'),
    ({"enum": ["a"], "minLength": 2}, '"minLength" at # beside "enum"'), (False, "must be an object"), ([], "must be an object"), ({"properties": {"x": 5}}, "#/properties/x must be an object"),
    ({"type": "object", "properties": {str(i): {"type": "string", "minLength": 9000} for i in range(20)}}, "lengths"),
    ({"type": "object", "properties": {str(i): {} for i in range(6000)}}, "more than 5000 parts"),
]
deep = {"type": "null"}
for _ in range(100):
    deep = {"type": "array", "items": deep}
REFUSED.append((deep, "deeper than 64 levels"))


def check(name, good, why=""):
    print(f"ok {name}" if good else f"FAIL {name}: {why}", flush=True)


formats = jsonschema.FormatChecker()
HOST = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
for name, pattern in (("duration", r"P(\d+W|\d+D(T\d+H)?|T\d+[HMS])"), ("hostname", HOST), ("uri", rf"https?://{HOST}(/[!-~]*)?"), ("email", rf"[^@\s]+@{HOST}")):
    formats.checks(name)(lambda v, p=pattern: bool(re.fullmatch(p, v)))
for name, read in (("date-time", datetime.datetime.fromisoformat), ("time", datetime.time.fromisoformat)):
    formats.checks(name, raises=ValueError)(lambda v, r=read: r(v) is not None)


def validates(schema, text):
    try:
        value = json.loads(text)
        jsonschema.Draft202012Validator(schema, format_checker=formats).validate(value)
        return None
    except (ValueError, jsonschema.ValidationError) as e:
        return f"{text[:200]}: {str(e)[:200]}"


def pure(program):
    lines = "".join(json.dumps(s) + "\n" for s, *_ in TABLE + REFUSED)
    out = subprocess.run([program], input=lines, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    check("an answer for each schema", len(out) == len(TABLE) + len(REFUSED), len(out))
    rng = random.Random(4711)
    for (schema, yes, no), line in zip(TABLE, out):
        name, answer, why = json.dumps(schema, ensure_ascii=False)[:90], json.loads(line), []
        if "error" in answer:
            check(name, False, answer["error"])
            continue
        g = Grammar(answer["grammar"])
        why += [f"does not take {d[:80]}" for d in yes if not g.takes(d)]
        why += [f"takes {d[:80]}" for d in no if g.takes(d)]
        why += [f"the test's own {d[:80]} is wrong" for d in yes if validates(schema, d)]
        for _ in range(150):
            bad = validates(schema, g.draw(rng))
            if bad:
                why.append(bad)
        check(name, not why, why[:3])
    for (schema, words), line in zip(REFUSED, out[len(TABLE):]):
        error = json.loads(line).get("error", "it was taken")
        check("refused: " + json.dumps(schema)[:70], words in error, f"{words!r} is not in: {error}")


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def engine(path, key, model):
    """A model of noise says what it likes; what comes must be what the schema allows all the same."""
    ended, wrong = 0, []
    for i, (schema, *_) in enumerate(TABLE):
        c = Unix(path, timeout=60)
        openai = i % 2 == 0
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        if openai:
            body |= {"max_tokens": 150, "seed": i, "temperature": 1.5,
                     "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}}
        else:
            body |= {"stream": False, "format": schema, "options": {"num_predict": 150, "seed": i, "temperature": 1.5}}
        if not isinstance(schema, dict):
            continue
        c.request("POST", "/v1/chat/completions" if openai else "/api/chat", json.dumps(body), {"Host": "localhost", "Authorization": f"Bearer {key}"})
        r = c.getresponse()
        a = json.loads(r.read())
        if r.status != 200:
            wrong.append((schema, a))
            continue
        text, reason = (a["choices"][0]["message"]["content"], a["choices"][0]["finish_reason"]) if openai else (a["message"]["content"], a["done_reason"])
        if reason == "stop":
            ended += 1
            bad = validates(schema, text)
            if bad:
                wrong.append((schema, bad))
    check(f"engine: answers are what {len(TABLE)} schemas allow", not wrong, wrong[:3])
    check("engine: most come to an end", ended > len(TABLE) // 2, ended)


{"check": pure, "engine": engine}[sys.argv[1]](*sys.argv[2:])
