# SPDX-License-Identifier: MIT
"""Two devices that one `berth bridge serve` serves, each with its own rules, BARs and recording: bridge_several.py BERTH FOLDER
DEVICES. Prints "ok NAME" for each."""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vfiouser import BAR0, Client

berth, folder, devices = sys.argv[1:4]
TIMEOUT = 120
gpu, edu = f"{devices}/gpu.json", f"{devices}/edu.json"
a, b, log = (f"{folder}/several.{name}" for name in ("a", "b", "log"))


def ok(name):
    print(f"ok {name}", flush=True)


def run(*words):
    return subprocess.run([berth, "bridge", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)


def until(true, what):
    end = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < end, (what, open(log).read())
        time.sleep(0.02)


def said(text):
    return text in open(log).read()


def serve(*words):
    with open(log, "w") as to:
        p = subprocess.Popen([berth, "bridge", "serve", gpu, "--socket", a, edu, "--socket", b, "-v", *words],
                             stdin=subprocess.DEVNULL, stdout=to, stderr=to)
    until(lambda: p.poll() is not None or open(log).read().count("waits for a client") == 2, "they come up")
    assert p.poll() is None, open(log).read()
    return p


def status():
    return {s["socket"]: s for s in json.loads(run("status", "--json").stdout)["bridges"]}


def each_has_its_own():
    rules, other, film = (f"{folder}/several.{name}" for name in ("rules", "other", "film"))
    with open(rules, "w") as f:
        f.write("bar0 0x24+4 deny 0x5a\n")
    with open(other, "w") as f:
        f.write("bar0 0x4+4 mask 0xff\n")
    p = serve("--policy", f"{gpu}={rules}", "--policy", f"{edu}={other}", "--record", f"{edu}={film}", "--bar", f"{gpu}:1=64M",
              "--record-size", "1M")
    one, two = Client(a), Client(b)
    assert one.read(BAR0, 0x24, 4) == 0x5A5A5A5A
    assert two.read(BAR0, 0x24, 4) != 0x5A5A5A5A
    ok("rules of one are not the other's")
    assert one.region(1)[0] == 64 << 20 and two.region(BAR0)[0] == 1 << 20
    ok("a BAR of one is shown smaller")
    two.write(BAR0, 0x4, 4, 0x11223344)  # edu gives the complement
    assert two.read(BAR0, 0x4, 4) == 0xFFFFFFBB
    shown = run("trace", film, "--only", "bar0")
    assert shown.returncode == 0 and shown.stdout.count("\n") == 3, shown
    assert run("trace", b, "--only", "bar0").stdout == shown.stdout
    assert run("trace", a).returncode == 1
    ok("the recording is of one, and found by its socket")
    with open(other, "w") as f:
        f.write("bar0 0x4+4 deny 1\n")
    p.send_signal(signal.SIGHUP)
    until(lambda: said(f"berth bridge {edu}: {other}: 1 rules are in force") and
          said(f"berth bridge {gpu}: {rules}: 1 rules are in force"), "both are read anew")
    assert two.read(BAR0, 0x4, 4) == 0x01010101 and one.read(BAR0, 0x24, 4) == 0x5A5A5A5A
    ok("both are read anew, and who says what is told")
    until(lambda: {s["client_pid"] for s in status().values()} == {os.getpid()}, "both are listed")
    one.close()
    two.close()
    p.terminate()
    assert p.wait(TIMEOUT) == 0, open(log).read()
    assert not os.path.exists(a) and not os.path.exists(b) and not status()
    ok("they end together")


def one_fails():
    rules = f"{folder}/several.rules"
    with open(rules, "w") as f:
        f.write("bar3 0x0+4 deny\n")
    p = run("serve", gpu, "--socket", a, edu, "--socket", b, "--policy", f"{edu}={rules}")
    assert p.returncode == 4, p
    why = [line for line in p.stderr.splitlines() if "waits for a client" not in line]
    assert len(why) == 1 and "bar3" in why[0] and edu in why[0], p.stderr
    assert not os.path.exists(a) and not os.path.exists(b)
    ok("one that cannot be served ends the other")


each_has_its_own()
one_fails()
