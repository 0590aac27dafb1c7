# SPDX-License-Identifier: MIT
"""Those of a bridge's processes that a guest talks to are taken over: bridge_hostile.py BERTH FOLDER DEVICES. What they share with
who started them is overwritten, and they send it nonsense, or do nothing any more. Prints "ok NAME" for each."""
import array
import ctypes
import errno
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vfiouser import BAR0, CONFIG, Client, Gone, Refused
from workers import TIMEOUT, Server, children, holder_of, next_client, ok

GETFD = 438  # pidfd_getfd(2), which Python has no name for
LINE = struct.Struct("=IiiiIIQQQ800s")  # bar-forward/share.h
DIED, SPAWN, KILL, FETCH, RECORD, UPGRADE, LOST, BACK, ENDED = 2, 8, 9, 10, 11, 12, 13, 14, 15


def command(berth, devices, folder, name, *words):
    """Where we are root, who has no right: else nobody could reach into those that are another user's."""
    words += ("--user", "root") if os.getuid() == 0 else ()
    return [berth, "bridge", "serve", f"{devices}/gpu.json", "--socket", "SOCKET", "-v", *words]


def shared(pid, named=""):
    """What a process shares with others, and could write: (from, to)"""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        for line in f:
            where, rights, *rest = line.split(maxsplit=5)
            if rights == "rw-s" and named in (rest[-1] if len(rest) == 4 else ""):
                found.append(tuple(int(x, 16) for x in where.split("-")))
    return found


def overwrite(pid, ranges, what):
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as f:
        for begin, end in ranges:
            f.seek(begin)
            f.write(what(end - begin))


def pages():
    return sorted(os.listdir(os.environ["BERTH_RUNTIME_DIR"]))


def end(s, *codes):
    assert s.p.wait(TIMEOUT) in codes, (s.p.returncode, open(s.log).read())
    assert not os.path.exists(s.path), "the socket is left"
    assert not pages(), pages()


def memory(berth, folder, devices):
    """Everything that the holder shares: nothing of it leads the opener anywhere."""
    kept = f"{folder}/kept.trace"
    with Server(folder, "memory", command(berth, devices, folder, "memory", "--record", kept)) as s:
        holder = holder_of(s.p.pid)
        ours = shared(s.p.pid)
        assert len(shared(holder)) >= 4 and len(ours) >= 4, "page, what it says, what is handed over, and the share"
        overwrite(holder, shared(holder), lambda n: b"\xff" * n)
    assert not pages() and os.path.exists(kept), "an end in order"
    ok("what a holder shares is not believed")


def worker_memory(berth, folder, devices):
    """What workers note is nonsense: their client may be let go, and their device lost, but the next one is served."""
    with Server(folder, "worker", command(berth, devices, folder, "worker")) as s:
        holder = holder_of(s.p.pid)
        where = shared(holder, "memfd:berth-share")
        assert len(where) == 1
        rng = random.Random(4)
        for i in range(3):
            try:
                c = Client(s.path, timeout=TIMEOUT)
                for k in range(20):
                    c.write(BAR0, 0x40, 8, k, posted=True)
                    overwrite(holder, where, rng.randbytes if i % 2 else lambda n: b"\xff" * n)
                    c.read(BAR0, 0x40, 8)
            except (Gone, Refused, ConnectionError):
                pass
            c.close()
        until = time.monotonic() + TIMEOUT
        while True:
            try:
                c = Client(s.path, timeout=TIMEOUT)
                c.write(BAR0, 0x24, 4, 0x1234)
                if c.read(CONFIG, 0, 4) == 0xBE471234 and c.read(BAR0, 0x24, 4) == 0x1234:
                    break
            except (Gone, Refused, ConnectionError):
                pass
            c.close()
            assert time.monotonic() < until, "nobody is served any more"
            time.sleep(0.05)
        assert holder_of(s.p.pid) == holder, "the holder died of what a worker noted"
        c.close()
    ok("what a worker notes is not believed")


def lines_of(holder):
    """The holder's ends of the sockets that lead to the opener, and to workers, which pass over what they do not know."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(holder)
    found = []
    for fd in os.listdir(f"/proc/{holder}/fd"):
        if not os.readlink(f"/proc/{holder}/fd/{fd}").startswith("socket:"):
            continue
        got = libc.syscall(GETFD, pidfd, int(fd), 0)
        if got < 0:
            os.close(pidfd)
            return None
        one = socket.socket(fileno=got)
        if one.type == socket.SOCK_SEQPACKET and not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(one)
    os.close(pidfd)
    return found


def send(to, record, fds=()):
    with_fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    for one in to:
        try:
            one.sendmsg([record], with_fds, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass  # a worker that has ended, or reads nothing now


def words(berth, folder, devices):
    """What it says to the opener: orders that are none, of any length, with descriptors."""
    rng = random.Random(5)
    rules = f"{folder}/rules"
    with open(rules, "w", encoding="ascii") as f:
        f.write("bar0 0x800+8 log\n")
    s = Server(folder, "words", command(berth, devices, folder, "words", "--policy", rules))
    holder = holder_of(s.p.pid)
    to = lines_of(holder)
    if to is None:
        s.p.terminate()
        end(s, 0)
        ok("what a holder says: nobody may say it here")
        return
    assert to, "no way to the opener"
    other = subprocess.Popen(["sleep", "1000"])
    for i in range(600):
        kind = rng.choice([0, DIED, SPAWN, KILL, KILL, FETCH, RECORD, UPGRADE, LOST, BACK, 99, 1 << 31])
        pid = rng.choice([0, -1, 1, other.pid, s.p.pid, holder, os.getpid(), *children(s.p.pid)[0]])
        line = LINE.pack(kind, rng.randrange(-200, 200), pid, rng.randrange(100), rng.randrange(5), rng.randrange(3),
                         rng.randrange(1 << 64), rng.randrange(1 << 64), rng.randrange(1 << 64), rng.randbytes(800))
        size = rng.choice([len(line), len(line), rng.randrange(len(line)), len(line) + 2000])
        send(to, line.ljust(len(line) + 2000, b"\xee")[:size], [1] * rng.choice([0, 0, 1, 30]))
        time.sleep(0.001)
    assert s.p.poll() is None, open(s.log).read()
    assert other.poll() is None, "it killed somebody who is no worker"
    assert holder_of(s.p.pid) == holder
    other.kill()
    other.wait()
    os.kill(holder, signal.SIGSTOP)  # it says nothing that would come after this
    send(to, LINE.pack(ENDED, -5, 0, 0, 0, 0, 0, 0, 0, b"A" * 800))
    os.kill(holder, signal.SIGKILL)
    end(s, 6)
    assert open(s.log).read().count("A" * 700) == 1, "its last words, as many as there is room for"
    ok("what a holder says is not believed")


def fetcher_of(pid):
    """Who has opened the device; None: nobody, any more."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            try:
                with open(f"/proc/{child}/comm", encoding="utf-8") as name:
                    if name.read().strip() == "bridge-fetcher":
                        return int(child)
            except OSError:
                pass
    return None


def hung_fetcher(berth, folder, devices):
    """Who does not come back from a reset is killed, so that it lets go of the lost device as soon as it can."""
    with Server(folder, "fetcher", command(berth, devices, folder, "fetcher")) as s:
        c = Client(s.path, timeout=TIMEOUT)
        fetcher = fetcher_of(s.p.pid)
        os.kill(fetcher, signal.SIGSTOP)
        try:
            c.reset()
            raise AssertionError("a reset by nobody")
        except Refused as no:
            assert no.errno == errno.ETIMEDOUT, no
            assert c.read(CONFIG, 0, 4) == 0xFFFFFFFF
        except Gone:
            pass  # on a busy machine that answer would have come too late
        until = time.monotonic() + TIMEOUT
        while os.path.exists(f"/proc/{fetcher}"):
            assert time.monotonic() < until, "it is left"
            time.sleep(0.02)
        c.close()
        c = next_client(s)
        assert fetcher_of(s.p.pid) not in (None, fetcher)
        c.close()
    ok("a fetcher that hangs does not stay")


def silence(berth, folder, devices):
    """One that hangs ends with who started it: at once, when that is told to end once more."""
    s = Server(folder, "silence", command(berth, devices, folder, "silence"))
    holder = holder_of(s.p.pid)
    os.kill(holder, signal.SIGSTOP)
    until = time.monotonic() + TIMEOUT
    while s.p.poll() is None:
        assert time.monotonic() < until, "it does not end"
        s.p.terminate()
        time.sleep(0.5)
    end(s, 6)
    assert s.said("the process that holds the device does not end, and is killed") == 1
    until = time.monotonic() + TIMEOUT
    while os.path.exists(f"/proc/{holder}"):
        assert time.monotonic() < until, "it lives"
        time.sleep(0.02)
    ok("a holder that hangs is no reason to stay")


def main():
    berth, folder, devices = sys.argv[1:4]
    memory(berth, folder, devices)
    worker_memory(berth, folder, devices)
    words(berth, folder, devices)
    hung_fetcher(berth, folder, devices)
    silence(berth, folder, devices)


main()
