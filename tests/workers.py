# SPDX-License-Identifier: MIT
"""Workers of a bridge are killed again and again while a client is at work: workers.py BERTH FILEBRIDGE FOLDER DEVICES SECONDS.
No register write is lost or happens twice, every reply is exact. Prints "ok NAME" for each."""
import errno
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vfiouser import BAR0, CONFIG, Client, Gone, Refused

TIMEOUT = 120
# Seconds between kills, about; a sanitizer's worker takes longer to start.
EVERY = 0.3 if os.environ.get("SAN") else 0.03


def children(pid):
    """Workers of a server, the oldest first, and who holds its device."""
    workers, holders = [], []
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            found = [int(p) for p in f.read().split()]
    except OSError:
        found = []
    for child in found:
        try:
            with open(f"/proc/{child}/cmdline") as f:
                name = f.read().split("\0")[0]
            with open(f"/proc/{child}/comm") as f:
                comm = f.read().strip()
            with open(f"/proc/{child}/stat") as f:
                state = f.read().rsplit(") ", 1)[1][0]
        except OSError:
            continue
        if state != "Z" and name == "berth-bridge-worker":
            workers.append(child)
        elif state != "Z" and comm == "bridge-holder":
            holders.append(child)
    return workers, holders


def holder_of(pid):
    """Who holds the device, once it is there."""
    until = time.monotonic() + TIMEOUT
    while True:
        holders = children(pid)[1]
        if len(holders) == 1:
            return holders[0]
        assert time.monotonic() < until, holders
        time.sleep(0.01)


def kill_one(pid, which=0):
    workers, _ = children(pid)
    if not workers:
        return False
    try:
        os.kill(workers[min(which, len(workers) - 1)], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


class Answers:
    """How many a client has had, for other processes to see."""

    def __init__(self):
        self.shared = mmap.mmap(-1, 8)

    def n(self):
        return struct.unpack_from("=Q", self.shared)[0]

    def one_more(self):
        struct.pack_into("=Q", self.shared, 0, self.n() + 1)


def killer(pid, every, answers):
    """A process that kills those at work, and now and then those that wait. Who comes next must have answered before it is killed,
    or nobody would ever be at work where starting takes long; the first answer may still be of the one before."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    rng = random.Random(1)
    seen = 0
    while True:
        time.sleep(every * rng.uniform(0.5, 1.5))
        if answers.n() >= seen + 2 and kill_one(pid, 1 if rng.random() < 0.1 else 0):
            seen = answers.n()


class Server:
    def __init__(self, folder, name, command):
        self.path = f"{folder}/{name}"
        self.log = f"{folder}/{name}.log"
        with open(self.log, "w") as log:
            self.p = subprocess.Popen([c.replace("SOCKET", self.path) for c in command], stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log)
        until = time.monotonic() + TIMEOUT
        while not self.said("waits for a client"):
            assert self.p.poll() is None and time.monotonic() < until, open(self.log).read()
            time.sleep(0.01)

    def said(self, text):
        return open(self.log).read().count(text)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.p.kill()
            self.p.wait()
            print("\n".join(open(self.log).read().split("\n")[-30:]))
            return
        self.p.send_signal(signal.SIGTERM)
        assert self.p.wait(TIMEOUT) == 0, open(self.log).read()
        assert not os.path.exists(self.path), "the socket is left"


def ok(name):
    print(f"ok {name}", flush=True)


class Files:
    """The client of a device that appends what it is told, and gives each number once."""

    def __init__(self, c):
        self.c = c
        self.reads = self.writes = 0

    def value(self):
        self.writes += 1
        return self.writes - 1

    def one(self, what):
        if what < 3:
            assert self.c.read(BAR0, 4 * what, 4) == self.reads, "a read is lost, or was made twice"
            self.reads += 1
        elif what < 5:
            self.c.write(BAR0, 4 * what, 4, self.value(), posted=what == 4)
        elif what == 5:
            assert self.c.multi([(BAR0, 8, 4, self.value()) for _ in range(20)]) == 20
        else:
            assert self.c.read(CONFIG, 0, 4) == 0x56781234

    def check(self, folder):
        with open(f"{folder}/log", "rb") as f:
            got = f.read()
        want = struct.pack(f"<{self.writes}I", *range(self.writes))
        assert got == want, (len(got) // 4, self.writes)
        return self.reads + self.writes


class Counters:
    """The client of a device of memory that counts its writes itself."""

    def __init__(self, c):
        self.c = c
        self.n = self.sum = self.done = 0

    def one(self, what):
        self.done += 1
        if what < 2:
            self.c.write(BAR0, 0x40, 8, 0, posted=what == 1)
            self.n += 1
        elif what == 2:
            assert self.c.multi([(BAR0, 0x48, 8, i) for i in range(20)]) == 20
            self.sum += 190
        elif what == 3:
            assert self.c.read(BAR0, 0x48, 8) == self.sum, "a write is lost, or was made twice"
        elif what == 4:
            assert self.c.read(CONFIG, 0, 4) == 0xBE471234
        else:
            assert self.c.read(BAR0, 0x40, 8) == self.n, "a write is lost, or was made twice"

    def check(self, _):
        assert self.c.read(BAR0, 0x40, 8) == self.n and self.c.read(BAR0, 0x48, 8) == self.sum
        return self.done


def hammered(server, client, folder, seconds, every, name):
    c = Client(server.path, timeout=TIMEOUT)
    work = client(c)
    c.answers = answers = Answers()
    rng = random.Random(2)
    pid = killer(server.p.pid, every, answers)
    wanted = seconds / every / 8
    began = time.monotonic()
    try:
        while time.monotonic() < began + seconds or server.said("died of signal 9") < wanted:
            assert time.monotonic() < began + seconds + TIMEOUT, f"only {server.said('died of signal 9')} were killed"
            for _ in range(100):
                work.one(rng.randrange(7))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    c.read(CONFIG, 0, 4)  # what was posted has come by
    n = work.check(folder)
    kills = server.said("died of signal 9")
    doubts = server.said("its last")
    assert server.said("died of signal") == kills, "some died by themselves"
    print(f"    {name}: {n} accesses, {kills} workers killed at work, {doubts} in the middle of something", flush=True)
    c.close()
    ok(name)


def upgrade(berth, folder, devices):
    """Another program takes over under a client at work; one that does not fit takes nothing."""
    tree = f"{folder}/tree"
    here = os.path.dirname(os.path.dirname(os.path.realpath(berth)))
    for path in ("bin/berth", "libexec/berth/bridge"):
        os.makedirs(os.path.dirname(f"{tree}/{path}"), exist_ok=True)
        shutil.copy(f"{here}/{path}", f"{tree}/{path}")
    berth, program = f"{tree}/bin/berth", f"{tree}/libexec/berth/bridge"

    def install(what):
        shutil.copy(what, f"{program}.new")
        os.rename(f"{program}.new", program)

    def workers_are(inode, s):
        try:
            return all(os.stat(f"/proc/{w}/exe").st_ino == inode for w in children(s.p.pid)[0])
        except OSError:
            return False  # it has just ended

    with Server(folder, "upgrade", [berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", "SOCKET", "-v"]) as s:
        c = Client(s.path, timeout=TIMEOUT)
        work = Counters(c)
        rng = random.Random(3)
        first = os.stat(program).st_ino
        for what, status in ((f"{here}/libexec/berth/bridge", 0), ("/bin/true", 5), (f"{here}/libexec/berth/bridge", 0)):
            install(what)
            asked = subprocess.Popen([f"{here}/bin/berth", "bridge", "upgrade", s.path], stderr=subprocess.PIPE, text=True)
            while asked.poll() is None:
                for _ in range(100):
                    work.one(rng.randrange(7))
            said = asked.stderr.read()
            assert asked.returncode == status, (asked.returncode, said, open(s.log).read())
            kill_one(s.p.pid)
            for _ in range(100):
                work.one(rng.randrange(7))
        assert s.said("does not fit what runs, the worker stays") == 1
        until = time.monotonic() + TIMEOUT
        while not workers_are(os.stat(program).st_ino, s):
            assert time.monotonic() < until, "workers of the version before"
            time.sleep(0.02)
        assert first != os.stat(program).st_ino
        work.check(None)
        c.close()
        again = subprocess.run([f"{here}/bin/berth", "bridge", "upgrade", s.path], capture_output=True, text=True)
        assert again.returncode == 0, (again, open(s.log).read())
    ok("an upgrade")


def next_client(s):
    """Once the last one has been let go."""
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            return Client(s.path, timeout=TIMEOUT)
        except (Gone, Refused, ConnectionError):
            assert time.monotonic() < until
            time.sleep(0.02)


def hang(berth, folder, devices):
    """A device that hangs costs its worker; who holds it lives, and answers."""
    with Server(folder, "hang", [berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", "SOCKET", "-v"]) as s:
        c = Client(s.path, timeout=TIMEOUT)
        holder = holder_of(s.p.pid)
        c.write(BAR0, 0xFF0, 4, 2)  # the fault register: hang
        assert c.read(BAR0, 0, 4) == 0xFFFFFFFF
        assert c.read(CONFIG, 0, 4) == 0xFFFFFFFF
        c.write(BAR0, 0, 4, 1)
        assert holder_of(s.p.pid) == holder
        assert s.said("is lost (does not answer)") == 1
        c.close()
        c = next_client(s)
        assert c.read(CONFIG, 0, 4) == 0xBE471234
        ok("a device that hangs")

        c.write(BAR0, 0xFF0, 4, 2)
        try:
            c.reset()
            raise AssertionError("a reset that hangs came to its end")
        except Refused as no:
            assert no.errno == errno.ETIMEDOUT, no
        assert c.read(CONFIG, 0, 4) == 0xFFFFFFFF
        assert s.said("is lost (its reset does not end)") == 1
        c.close()
        c = next_client(s)
        assert c.read(CONFIG, 0, 4) == 0xBE471234
        c.reset()
        assert holder_of(s.p.pid) == holder, "a device that returns has the same holder"
        c.close()
    ok("a reset that hangs")


def holder_dies(berth, folder, devices):
    s = Server(folder, "holder", [berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", "SOCKET", "-v"])
    c = Client(s.path, timeout=TIMEOUT)
    holder = holder_of(s.p.pid)
    workers = children(s.p.pid)[0]
    os.kill(holder, signal.SIGKILL)
    try:
        while True:
            c.take(1)
    except Gone:
        pass
    assert s.p.wait(TIMEOUT) != 0 and "the process that holds the device died" in open(s.log).read()
    assert not os.path.exists(s.path)
    for w in workers:
        assert not os.path.exists(f"/proc/{w}"), "a worker is left"
    ok("a holder that dies")


def main():
    berth, filebridge, folder, devices, seconds = sys.argv[1:6]
    seconds = float(seconds)
    os.makedirs(f"{folder}/files", exist_ok=True)
    with open(f"{folder}/files/numbers", "wb") as f:
        f.write(struct.pack(f"<{1 << 20}I", *range(1 << 20)))
    with Server(folder, "file", [filebridge, f"{folder}/files", "SOCKET"]) as s:
        hammered(s, Files, f"{folder}/files", seconds, EVERY, "a device that only the kernel's counts tell of")
    with Server(folder, "memory", [berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", "SOCKET", "-v"]) as s:
        hammered(s, Counters, folder, seconds, EVERY, "a device of memory")
    upgrade(berth, folder, devices)
    hang(berth, folder, devices)
    holder_dies(berth, folder, devices)


if __name__ == "__main__":
    main()
