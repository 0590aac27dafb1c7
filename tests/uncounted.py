# SPDX-License-Identifier: MIT
"""A worker is killed in the middle of an access and at rest, on a kernel that counts what tasks read and on one that does not:
uncounted.py FILEBRIDGE LIBRARY FOLDER. Prints "ok NAME" for each."""
import os
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vfiouser import BAR0, CONFIG, REGION_READ, Client, Gone, Refused
from workers import TIMEOUT, Server, children, ok

LOST = "is lost (a worker died, and what it did last is not known)"
ONES = 0xFFFFFFFF


def await_true(true, what):
    until = time.monotonic() + TIMEOUT
    while not true():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.002)


def connect(server):
    """A device that was lost comes back with a holder of its own, which the first to knock may miss."""
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            return Client(server.path, timeout=TIMEOUT)
        except (Gone, Refused, ConnectionError):
            assert time.monotonic() < until, open(server.log).read()


def reader(server, pipe):
    """The worker that waits in read() for a number, by now; or None."""
    for pid in children(server.p.pid)[0]:
        try:
            with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
                call = f.read().split()
            if call[0] == "0" and os.path.samefile(f"/proc/{pid}/fd/{int(call[1], 16)}", pipe):
                return pid
        except (OSError, ValueError, IndexError):
            pass
    return None


def are_at_rest(pids):
    """They sleep: none has an answer to send, or a message to take, which would not wait."""
    states = []
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            states.append(f.read().rsplit(") ", 1)[1][0])
    return all(state == "S" for state in states)


def killed_in_access(server, pipe):
    """A client whose read is at the device when its worker dies."""
    while True:
        c = connect(server)
        hung = server.said("does not answer")
        c.send_bytes(c.message(REGION_READ, struct.pack("=QII", 0, BAR0, 4)))
        await_true(lambda: reader(server, pipe) or server.said("does not answer") > hung, "a worker reads")
        pid = reader(server, pipe)
        # On a busy machine the holder may have lost patience before us.
        if pid and server.said("does not answer") == hung:
            os.kill(pid, signal.SIGKILL)
            return c
        c.close()


def number(c):
    return int.from_bytes(c.reply(c.id, REGION_READ)[16:], "little")


def counted(command, pipe, w):
    with Server(os.path.dirname(pipe), "counted", command) as s:
        c = killed_in_access(s, pipe)
        await_true(lambda: s.said("its last access did not happen"), "the worker is judged")
        os.write(w, struct.pack("<I", 77))
        assert number(c) == 77, "the next one makes the access"
        assert not s.said("is lost")
        c.close()
    ok("where the kernel counts, the access is made by the next worker")


def uncounted(command, pipe, w):
    with Server(os.path.dirname(pipe), "uncounted", command) as s:
        c = connect(s)
        os.write(w, struct.pack("<I", 5))
        assert c.read(BAR0, 0, 4) == 5
        workers = children(s.p.pid)[0]
        await_true(lambda: are_at_rest(workers), "the workers come to rest")
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        await_true(lambda: s.said("nothing was in doubt"), "a worker that died at rest is replaced")
        os.write(w, struct.pack("<I", 6))
        assert c.read(BAR0, 0, 4) == 6 and not s.said("is lost")
        c.close()
        ok("where it does not, a death at rest costs nothing")

        c = killed_in_access(s, pipe)
        assert number(c) == ONES and c.read(CONFIG, 0, 4) == ONES and c.read(BAR0, 8, 4) == ONES
        c.write(BAR0, 0, 4, 1)
        assert s.said(LOST) == 1, open(s.log).read()
        assert os.path.getsize(os.path.join(os.path.dirname(pipe), "log")) == 0, "a write reached a lost device"
        ok("a death in the middle of an access is answered by all-ones: the device is lost")
        c.close()

        c = connect(s)
        os.write(w, struct.pack("<I", 7))
        assert c.read(CONFIG, 0, 4) == 0x56781234 and c.read(BAR0, 0, 4) == 7
        c.close()
        ok("the next client has the device again")


def main():
    program, library, folder = sys.argv[1:4]
    files = f"{folder}/files"
    os.makedirs(files)
    pipe = f"{files}/numbers"
    os.mkfifo(pipe)
    w = os.open(pipe, os.O_RDWR)  # nobody waits for the other end, and nobody sees it end
    counted([program, files, "SOCKET"], pipe, w)
    uncounted(["env", f"LD_PRELOAD={library}", program, files, "SOCKET"], pipe, w)


if __name__ == "__main__":
    main()
