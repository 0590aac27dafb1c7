# SPDX-License-Identifier: MIT
"""Recordings of bridges, from the first access to the replay: bridge_record.py BERTH FOLDER DEVICES. Prints "ok NAME" for each."""
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import jsonschema

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vfiouser as vu
from vfiouser import BAR0, CONFIG, MSIX, ROM, Client, Gone

berth, folder, devices = sys.argv[1:4]
TIMEOUT = 120


def schema(name):
    return jsonschema.Draft202012Validator(json.load(open(f"docs/schema/{name}.json", encoding="utf-8")))


trace_schema, heat_schema, diff_schema = schema("bridge_trace"), schema("bridge_heat"), schema("bridge_diff")


def run(*words, code=0):
    p = subprocess.run([berth, "bridge", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    assert p.returncode == code, (words, p.returncode, p.stdout[-400:], p.stderr)
    return p.stdout


def events(path, *words):
    lines = [json.loads(line) for line in run("trace", path, "--json", *words).splitlines()]
    for line in lines:
        trace_schema.validate(line)
    assert lines[0]["event"] == "recording"
    return lines[1:]


class Server:
    """Of a verb that serves; it ends by itself, or by SIGTERM."""

    def __init__(self, verb, what, name, *words):
        self.path, self.log = f"{folder}/{name}", f"{folder}/{name}.log"
        with open(self.log, "w") as log:
            self.p = subprocess.Popen([berth, "bridge", verb, what, "--socket", self.path, *words],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for("waits for a client")

    def said(self):
        return open(self.log).read()

    def wait_for(self, text):
        until = time.monotonic() + TIMEOUT
        while text not in self.said():
            assert self.p.poll() is None or text in self.said(), self.said()
            assert time.monotonic() < until, f"no '{text}' in: {self.said()}"
            time.sleep(0.01)

    def status(self):
        until = time.monotonic() + TIMEOUT
        while True:  # one that is being written for as long as we look is left out
            found = [b for b in json.loads(run("status", "--json"))["bridges"] if b["socket"] == self.path]
            if found or time.monotonic() > until:
                return found[0]

    def client(self):
        until = time.monotonic() + TIMEOUT
        while self.status()["client_pid"] is not None:
            assert time.monotonic() < until
            time.sleep(0.02)
        return Client(self.path)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.p.kill()
            self.p.wait()
            print(self.said())
        elif self.p.poll() is None:
            self.p.terminate()
            assert self.p.wait(TIMEOUT) == 0, self.said()


def ok(name):
    print(f"ok {name}", flush=True)


def boot(c, polls=3, more=False, other=False):
    """What a driver does; the answers are its result."""
    got = [c.read(CONFIG, 0, 4)]
    c.write(CONFIG, 4, 2, 0x6)
    got.append(c.read_bytes(ROM, 0, 100))
    got += [c.read(BAR0, 0, 4), c.read(BAR0, 4, 4), c.read(BAR0, 0x10, 8)]
    for i in range(4):
        c.write(BAR0, 0x40, 8, i, posted=i % 2 == 0)
        got.append(c.read(BAR0, 0x40, 8))
    c.write(BAR0, 0x24, 4, 0x1001 if other else 0x1000)
    for _ in range(polls):
        c.read(BAR0, 0x24, 4)
    if more:
        c.read(BAR0, 0x4444, 4)
    c.multi([(BAR0, 0x48, 8, i) for i in range(5)])
    got.append(c.read(BAR0, 0x48, 8))
    c.reset()
    got.append(c.read(BAR0, 0x40, 8))
    return got


def wait_gone(path):
    """The client's end is the last that is recorded of it."""
    until = time.monotonic() + TIMEOUT
    while not [e for e in events(path) if e["event"] == "client-gone"]:
        assert time.monotonic() < until
        time.sleep(0.02)


def record(name, **words):
    path = f"{folder}/{name}.trace"
    with Server("serve", f"{devices}/gpu.json", f"{name}.s", "--record", path, "--record-size", "256K") as s:
        c = s.client()
        got = boot(c, **words)
        c.close()
        wait_gone(path)
    return path, got


def what_is_recorded():
    rules = f"{folder}/rules"
    with open(rules, "w") as f:
        f.write("bar0 0x28+8 mask 0xffff\nbar0 0x1000+8 deny 0x11\nbar0 0x20+1 log\n")
    path = f"{folder}/all.trace"
    fd, memory = vu.memory(1 << 20)
    with Server("serve", f"{devices}/gpu.json", "all.s", "--record", path, "--record-size", "256K", "--policy", rules,
                "--guest", "vm") as s:
        c = s.client()
        c.info()
        c.map(0, 1 << 20, fd)
        c.map(1 << 32, 4096)
        irqs = [os.eventfd(0) for _ in range(2)]
        c.irqs(MSIX, 1, irqs)
        c.write(BAR0, 0x24, 4, 0x12345678)
        assert c.read(BAR0, 0x24, 4) == 0x12345678
        c.write(BAR0, 0x20, 1, 7, posted=True)
        c.write(BAR0, 0x28, 8, 0x1122334455667788)
        c.write(BAR0, 0x1000, 8, 1)
        assert c.read(BAR0, 0x1000, 4) == 0x11111111
        space = c.read_bytes(CONFIG, 0, 256)
        c.unmap(0, 1 << 20)
        run("record", s.path, "mark", "here")
        c.irqs(MSIX, 0, [])
        c.close()
        wait_gone(path)
        assert s.status()["recorder_bytes"] > 0 and s.status()["recorder_drops"] == 0
        # by whatever name the bridge is called
        assert run("trace", s.path) == run("trace", "vm") == run("trace", str(s.status()["pid"])) == run("trace", path)
        all_of_it = events(path)
    took = [e for e in all_of_it if e["took_ns"] > 0 and e["event"] in ("read", "write")]
    assert took, all_of_it
    got = [{k: v for k, v in e.items() if k not in ("schema", "t_ns", "took_ns")} for e in all_of_it]
    times = [e["t_ns"] for e in all_of_it]
    assert times == sorted(times)
    pid = os.getpid()
    at = got.index({"event": "client", "pid": pid, "flags": []})
    r = {"event": "read", "region": "BAR0"}
    w = {"event": "write", "region": "BAR0"}
    want = [
        {"event": "dma-map", "iova": "0x0", "size": "0x100000", "flags": ["readable", "writable"]},
        {"event": "dma-map", "iova": "0x100000000", "size": "0x1000", "flags": ["readable", "writable", "by-message"]},
        {"event": "irq-set", "interrupt": "MSI-X", "first": 1, "count": 2, "flags": ["eventfd"]},
        {**w, "offset": "0x24", "count": 4, "value": "0x12345678", "flags": []},
        {**r, "offset": "0x24", "count": 4, "value": "0x12345678", "flags": []},
        {**w, "offset": "0x20", "count": 1, "value": "0x7", "flags": ["posted", "logged"]},
        {**w, "offset": "0x28", "count": 8, "value": "0x1122334455667788", "passed": "0x7788", "flags": ["masked"]},
        {**w, "offset": "0x1000", "count": 8, "value": "0x1", "flags": ["denied"]},
        {**r, "offset": "0x1000", "count": 4, "value": "0x11111111", "flags": ["denied"]},
        {"event": "read", "region": "config", "offset": "0x0", "count": 256, "bytes": space.hex(), "flags": []},
        {"event": "dma-unmap", "iova": "0x0", "size": "0x100000", "flags": []},
        {"event": "mark", "text": "here", "flags": []},
        {"event": "irq-set", "interrupt": "MSI-X", "first": 0, "count": 0, "flags": []},
    ]
    known = [e for e in got[at + 1:] if e["event"] != "worker"]
    assert known[:len(want)] == want, [(a, b) for a, b in zip(known, want) if a != b]
    assert [e["event"] for e in known[len(want):]] == ["reset", "client-gone"], known[len(want):]
    ok("every event is recorded as it was")
    only = events(path, "--only", "bar0:0x24-0x2f", "--except", "bar0:0x28+8", "--kind", "read")
    assert [(e["event"], e["offset"]) for e in only] == [("read", "0x24")], only
    assert len(events(path, "--kind", "dma")) == 3 and len(events(path, "--since", "1000000")) == 0
    assert len(events(path, "--until", "0")) < len(all_of_it) == len(events(path, "--since", "0"))
    ok("filters")
    heat = json.loads(run("trace", path, "--heat", "--json"))
    heat_schema.validate(heat)
    pages = {(r["name"], p["offset"]): (p["reads"], p["writes"]) for r in heat["regions"] for p in r["pages"]}
    assert pages == {("BAR0", "0x0"): (1, 3), ("BAR0", "0x1000"): (1, 1), ("config", "0x0"): (1, 0)}, pages
    for glyphs, full in (("ascii", "@"), ("blocks", "\u2588"), ("braille", "\u28ff")):
        assert full in run("trace", path, "--heat", "--glyphs", glyphs)
    ok("a map of the pages")


def switched():
    with Server("serve", f"{devices}/gpu.json", "live.s") as s:
        assert s.status()["recorder_bytes"] is None
        run("trace", s.path, code=1)
        c = s.client()
        c.info()
        fd, memory = vu.memory(1 << 16)
        c.map(0x10000, 1 << 16, fd)
        c.write(BAR0, 0x24, 4, 1)
        path = f"{folder}/live.trace"
        run("record", s.path, "start", path, "--record-size", "128K")
        c.write(BAR0, 0x24, 4, 2)
        got = events(path)
        maps = [e for e in got if e["event"] == "dma-map"]
        assert maps and maps[0]["iova"] == "0x10000" and "again" in maps[0]["flags"], got
        assert [e["value"] for e in got if e["event"] == "write"] == ["0x2"]
        told = run("record", s.path)
        assert re.search(f" records in {re.escape(path)}: [0-9]+ slots written, 0 records lost$", told), told
        run("record", s.path, "save", f"{folder}/kept.trace", "--kind", "write")
        run("record", s.path, "save", path, code=5)
        with Server("serve", f"{devices}/edu.json", "other.s") as other:
            run("record", other.path, "start", path, "--record-size", "128K", code=5)
        assert [e["value"] for e in events(f"{folder}/kept.trace")] == ["0x2"]
        run("record", s.path, "stop")
        c.write(BAR0, 0x24, 4, 3)
        assert [e["value"] for e in events(path) if e["event"] == "write"] == ["0x2"]
        run("record", s.path, "stop", code=1)
        run("record", s.path, "start", f"{folder}/none/at.all", code=1)
        c.close()
    ok("a running bridge begins and ends its recording")


def raised():
    """Interrupts by way of the recorder reach the guest, are recorded, and come again in the replay."""
    path = f"{folder}/irq.trace"

    def interrupts(c):
        fds = [os.eventfd(0) for _ in range(3)]
        c.irqs(MSIX, 0, fds)
        c.write(CONFIG, 4, 2, 0x6)
        at = c.read(CONFIG, 0x34, 1)
        while c.read(CONFIG, at, 1) != 0x11:
            at = c.read(CONFIG, at + 1, 1)
        c.write(CONFIG, at + 2, 2, 0x8000)
        counts = []
        for vector in (1, 2, 1):
            c.write(BAR0, 0x108, 4, vector)
            assert select.select([fds[vector]], [], [], TIMEOUT)[0], f"interrupt {vector} does not come"
            counts.append((vector, os.eventfd_read(fds[vector])))
            c.read(BAR0, 0, 4)
        c.irqs(MSIX, 0, [])
        c.close()
        return counts

    with Server("serve", f"{devices}/gpu.json", "irq.s", "--record", path, "--record-size", "128K", "--record-interrupts") as s:
        real = interrupts(s.client())
        wait_gone(path)
    got = [(e["interrupt"], e["vector"], e["count"]) for e in events(path, "--kind", "irq") if e["event"] == "irq"]
    assert got == [("MSI-X", v, n) for v, n in real], got
    with Server("replay", path, "irq2.s") as s:
        assert interrupts(s.client()) == real
        s.wait_for("recorded path")
        assert s.p.wait(TIMEOUT) == 0
        assert "stayed on" in s.said() and " 3 interrupts" in s.said(), s.said()
    ok("interrupts are recorded and replayed")


def followed():
    path = f"{folder}/follow.trace"
    with Server("serve", f"{devices}/gpu.json", "follow.s", "--record", path, "--record-size", "128K") as s:
        f = subprocess.Popen([berth, "bridge", "trace", path, "--follow", "--kind", "write", "--json"], stdout=subprocess.PIPE)
        c = s.client()
        assert json.loads(f.stdout.readline())["event"] == "recording"
        for i in range(20):
            c.write(BAR0, 0x24, 4, i)
            assert select.select([f.stdout], [], [], TIMEOUT)[0], "it is not followed"
            assert json.loads(f.stdout.readline())["value"] == hex(i)
        c.close()
    assert f.wait(TIMEOUT) == 0
    ok("a recording is followed to its end")


def killed():
    """Wherever the bridge is killed, what it recorded is there: each write once, none left out, but perhaps the last."""
    path = f"{folder}/killed.trace"
    for round_ in range(5):
        s = Server("serve", f"{devices}/gpu.json", f"killed{round_}.s", "--record", path, "--record-size", "1M")
        c = s.client()
        n = 0
        until = time.monotonic() + 0.05 * (round_ + 1)
        try:
            while True:
                c.write(BAR0, 0x40, 8, n)
                n += 1
                if n > 50 and time.monotonic() > until:
                    os.kill(s.p.pid, signal.SIGKILL)
        except (Gone, OSError):
            pass
        s.p.wait()
        values = [int(e["value"], 16) for e in events(path) if e["event"] == "write"]
        assert values and values == list(range(values[0], values[0] + len(values))), values
        assert values[-1] in (n - 1, n), (values[-1], n)
        c.close()
    ok("what a killed bridge recorded is whole")


def survived():
    """Workers that die one after another: each write is recorded, and what is told twice says so."""
    path = f"{folder}/workers.trace"
    with Server("serve", f"{devices}/gpu.json", "workers.s", "--record", path, "--record-size", "4M") as s:
        c = s.client()
        n = killed_ = 0
        last = None
        while killed_ < 15:
            for _ in range(40):
                c.write(BAR0, 0x40, 8, n)
                n += 1
            pid = s.status()["worker_pid"]
            if pid and pid != last:
                last = pid
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed_ += 1
                except ProcessLookupError:
                    pass
        assert c.read(BAR0, 0x40, 8) == n
        c.close()
        wait_gone(path)
    got = events(path)
    values = []
    for e in got:
        if e["event"] == "write" and e["region"] == "BAR0":
            value = int(e["value"], 16)
            if not ("again" in e["flags"] and values and values[-1] == value):
                values.append(value)
    assert values == list(range(n)), [(a, b) for a, b in zip(values, range(n)) if a != b][:3]
    assert len({e["pid"] for e in got if e["event"] == "worker"}) > 5
    ok("a recording goes on over the death of workers")


def replayed():
    path, real = record("boot")

    def again(name, **words):
        with Server("replay", path, name) as s:
            c = s.client()
            got = boot(c, **words)
            c.close()
            s.wait_for("recorded path")
            assert s.p.wait(TIMEOUT) == 0
        return got, s.said()

    got, said = again("r1.s")
    assert got == real, (got, real)
    assert "stayed on the recorded path, to its end" in said
    for polls in (1, 40):
        got, said = again("r2.s", polls=polls)
        assert got == real and "stayed on" in said, said
    ok("a boot is replayed without its device")
    got, said = again("r3.s", more=True)
    assert got == real and "reads BAR0+0x4444/4, which it does not in the recording" in said, said
    assert "left the recorded path" in said
    got, said = again("r4.s", other=True)
    assert "0x1001 to BAR0+0x24, 0x1000 in the recording" in said and "stayed on" in said, said
    ok("it is told where a guest leaves the path")


def compared():
    a, b, c, d = (record(n, **w)[0] for n, w in (("a", {}), ("b", {"polls": 30}), ("c", {"more": True}), ("d", {"other": True})))
    assert "0 have another value, 0 are only in" in run("diff", a, b)
    assert "first difference" in run("diff", a, c, code=1)
    diff = json.loads(run("diff", a, c, "--json", code=1))
    diff_schema.validate(diff)
    assert diff["only_b"] == 1 and diff["only_a"] == diff["other_value"] == 0
    assert diff["differences"][0]["b"]["offset"] == "0x4444" and diff["differences"][0]["a"] is None
    run("diff", a, c, "--except", "bar0:0x4444+4")
    diff = json.loads(run("diff", a, d, "--json", code=1))
    diff_schema.validate(diff)
    assert diff["other_value"] == 2 and diff["registers"] == [{"region": "BAR0", "offset": "0x24", "differences": 2}]
    diff_schema.validate(json.loads(run("diff", a, a, "--json")))
    ok("two boots are compared")


what_is_recorded()
switched()
raised()
followed()
killed()
survived()
replayed()
compared()
