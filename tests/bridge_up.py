# SPDX-License-Identifier: MIT
"""A `berth bridge serve` that has come up, for tests that are called with BERTH FOLDER DEVICES."""
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time

from vfiouser import CONFIG, Client, Gone, Refused

berth, folder, devices = sys.argv[1:4]
TIMEOUT = 120


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def facts(pid):
    """What a process is allowed: /proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status") as f:
        return {k: v.split() for k, v in (line.split(":", 1) for line in f)}


class Bridge:
    """A server that has come up; it must end by itself with exit code `ends`."""

    def __init__(self, device="gpu.json", name="s", *words, ends=0):
        self.path = f"{folder}/{name}"
        self.log = f"{folder}/{name}.log"
        self.ends = ends
        with open(self.log, "w") as log:
            device = device if "/" in device else f"{devices}/{device}"
            self.p = subprocess.Popen([berth, "bridge", "serve", device, "--socket", self.path, "-v", *words],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for("waits for a client")

    def wait_for(self, text):
        until = time.monotonic() + TIMEOUT
        while text not in open(self.log).read():
            assert self.p.poll() is None or text in open(self.log).read(), open(self.log).read()
            assert time.monotonic() < until, f"no '{text}' in: {open(self.log).read()}"
            time.sleep(0.01)

    def processes(self):
        """What the server has started, by what they are."""
        names = {"bridge-holder": "holder", "bridge-fetcher": "fetcher"}
        found = {"holder": [], "fetcher": [], "worker": []}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    state, parent = f.read().rsplit(") ", 1)[1].split()[:2]
                with open(f"/proc/{pid}/cmdline") as f:
                    worker = f.read().split("\0")[0] == "berth-bridge-worker"
                with open(f"/proc/{pid}/comm") as f:
                    name = "worker" if worker else names.get(f.read().strip())
            except OSError:
                continue
            if int(parent) == self.p.pid and state != "Z" and name:
                found[name].append(int(pid))
        return found

    def fetcher(self):
        """Who has opened the device, once it has no rights any more, as the only one."""
        until = time.monotonic() + TIMEOUT
        while True:
            found = self.processes()["fetcher"]
            if len(found) == 1 and facts(found[0])["NoNewPrivs"] == ["1"]:
                return found[0]
            assert time.monotonic() < until, found
            time.sleep(0.01)

    def kill(self):
        """All that it has started dies with it, in a moment."""
        started = [pid for pids in self.processes().values() for pid in pids]
        self.p.kill()
        self.p.wait()
        until = time.monotonic() + TIMEOUT
        # Whoever had just begun is in no list, but has the socket
        while any(lives(pid) for pid in started) or self.listens():
            assert time.monotonic() < until, "something of it is left"
            time.sleep(0.01)

    def listens(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path) not in (errno.ECONNREFUSED, errno.ENOENT)

    def fds(self, want=None):
        """Descriptors of the holder, while nobody comes or goes: as many as are wanted, or as there are for a while."""
        until, since, last = time.monotonic() + TIMEOUT, time.monotonic(), None
        while True:
            now = self.processes()
            n = len(os.listdir(f"/proc/{now['holder'][0]}/fd")) if len(now["holder"]) == 1 else None
            if (n, now) != last:
                last, since = (n, now), time.monotonic()
            settled = n is not None and len(now["worker"]) == 2 and time.monotonic() - since > 2
            if n == want if want is not None else settled:
                return n
            if time.monotonic() > until:
                return n
            time.sleep(0.02)

    def status(self):
        """A page that is being written for as long as somebody looks, as on a busy machine, is left out: look again."""
        until = time.monotonic() + TIMEOUT
        while True:
            p = subprocess.run([berth, "bridge", "status", "--json"], check=True, capture_output=True)
            with open(f"{folder}/status.json", "wb") as f:
                f.write(p.stdout)
            for b in json.loads(p.stdout)["bridges"]:
                if b["socket"] == self.path:
                    return b
            assert time.monotonic() < until, f"it is not listed: {p.stderr}"

    def status_when(self, true):
        until = time.monotonic() + TIMEOUT
        while not true(self.status()):
            assert time.monotonic() < until, self.status()
            time.sleep(0.02)
        return self.status()

    def client(self, **words):
        """A new one, once the last has been let go."""
        self.status_when(lambda s: s["client_pid"] is None)
        return Client(self.path, **words)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.p.kill()
            self.p.wait()
            print(open(self.log).read())
            return
        if self.p.poll() is None and self.ends == 0:
            self.p.send_signal(signal.SIGTERM)
        assert self.p.wait(TIMEOUT) == self.ends, (self.p.returncode, open(self.log).read())
        assert not os.path.exists(self.path), "the socket is left"


def refused(number, what, *args, **words):
    try:
        what(*args, **words)
    except Refused as r:
        assert r.errno == number, (r.errno, number)
        return
    raise AssertionError("it was not refused")


def hung_up(c):
    """The server closes; what it may have said before is passed over."""
    try:
        while True:
            c.take(1)
    except Gone:
        c.close()


def msix(c):
    space = c.read_bytes(CONFIG, 0, 256)
    at = space[0x34]
    while at:
        if space[at] == 0x11:
            return at
        at = space[at + 1]
    return None


def ok(name):
    print(f"ok {name}", flush=True)
