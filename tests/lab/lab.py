"""For the cases' check.py: what the guest left in OUT/files, and results in the lab's form."""
import json
import os
import pathlib
import subprocess
import sys

FILES = pathlib.Path(sys.argv[1]) / "files"
BERTH = os.environ.get("BERTH", "build/bin/berth")


def ok(name):
    print(f"ok {name}")


def fail(name, why):
    print(f"FAIL {name}: {why}")


def same(name, got, wanted):
    if got == wanted:
        ok(name)
    else:
        fail(name, f"{got!r}, not {wanted!r}")


def text(name):
    return (FILES / name).read_text(encoding="utf-8")


def load(name):
    return json.loads(text(name))


def gpus(name):
    """The functions of a probe's JSON by their address."""
    return {g["pci"]: g for g in load(name)["gpus"]}


def berth(*args):
    """What our program says on the host: its exit status and its output, as bytes."""
    done = subprocess.run([BERTH, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout


def lines(name):
    """An object a line."""
    return [json.loads(line) for line in text(name).splitlines()]


def invalid(schema, answer):
    """What the schema has against it; nothing, if it is valid."""
    done = subprocess.run([sys.executable, "tests/validate.py", f"docs/schema/{schema}.json", "-"],
                          input=answer.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode()


def valid(name, schema, file):
    same(name, invalid(schema, text(file)), "")


def valid_lines(name, schema, file):
    same(name, "".join(invalid(schema, line) for line in text(file).splitlines()), "")


def replays(name, capture, answer):
    """A capture made in the guest shows on the host, byte for byte, what the guest's probe printed."""
    status, out = berth("probe", "--machine", str(FILES / capture), "--json")
    if (status, out) == (0, (FILES / answer).read_bytes()):
        ok(name)
        return
    got, wanted = out.decode(errors="replace").splitlines(), text(answer).splitlines()
    fail(name, f"exit {status}; " + next((f"'{g.strip()}', in the guest '{w.strip()}'"
                                          for g, w in zip(got, wanted) if g != w), "another length"))


def truth():
    """The kernel's own files of all functions, as a guest's script wrote them down: address -> key -> value."""
    facts = {}
    for line in text("truth").splitlines():
        address, key, value = (line.split(" ", 2) + [""])[:3]
        facts.setdefault(address, {})[key] = value.strip()
    return facts


def is_ours(facts):
    """Display functions, co-processors and accelerators."""
    cls = int(facts["class"], 16)
    return cls >> 16 == 0x03 or cls >> 8 in (0x0B40, 0x1200)


def lspci():
    """`lspci -D -vmm -nn -k`: address -> key -> value; the last value of a key counts."""
    functions = {}
    for block in text("lspci").split("\n\n"):
        facts = dict(line.split(":\t", 1) for line in block.splitlines() if ":\t" in line)
        if "Slot" in facts:
            functions[facts["Slot"]] = facts
    return functions
