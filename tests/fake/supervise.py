# SPDX-License-Identifier: MIT
"""Start a core that serves, as berth launch does, and drive it: supervise.py CORE PLAN WHAT. Prints what came over
the control line, its exit code, and what the clients saw. WHAT: echo, many, stall, crash, refuse."""
import json
import os
import socket
import sys
import threading
import time

core, plan, what = sys.argv[1:4]
ours, theirs = socket.socketpair()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
address = listener.getsockname()
pid = os.fork()
if pid == 0:
    a, b = os.dup(listener.fileno()), os.dup(theirs.fileno())
    for fd, to in ((a, 3), (b, 4)):
        os.dup2(fd, to)
        os.set_inheritable(to, True)
    env = dict(os.environ, LISTEN_FDS="1", LISTEN_FDNAMES="openai", LISTEN_PID=str(os.getpid()))
    os.execve(core, [core, "--plan", plan, "--control-fd", "4", "--threads", "1", "--serve", "--name", "tiny",
                     "--no-key"], env)
theirs.close()
ours.settimeout(120)


def ask(path, body, out):
    try:
        with socket.create_connection(address, timeout=120) as s:
            s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, len(body)) + body)
            answer = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                answer += piece
        out.append(answer.partition(b"\r\n\r\n")[2] == body)
    except OSError:
        out.append(False)


def clients():
    body, seen, threads = os.urandom(3000000), [], []
    if what == "crash":
        ask(b"/crash", b"", seen)
        return
    idle = [socket.create_connection(address) for _ in range(20)] if what == "stall" else []
    for i in range(40 if what == "many" else 1):
        threads.append(threading.Thread(target=ask, args=(b"/slow" if what == "many" else b"/echo", body[:3000000 >> (i % 8)], seen)))
        threads[-1].start()
    for t in threads:
        t.join()
    for s in idle:
        s.close()
    print("answers", sum(seen), "of", len(seen))


for line in ours.makefile():
    o = json.loads(line)
    print(o["event"], o.get("class", ""), o.get("stop", ""), o.get("sentence", ""), sep="|")
    if o["event"] == "done":
        print("counted", o["prompt_tokens"], o["prompt_ns"], o["generated_tokens"], o["generated_ns"])
    if o["event"] == "ready" and what != "refuse":
        print("layers", ",".join(o["layers"]), "pci", ",".join(str(d["pci"]) for d in o["devices"]))
        ours.sendall(b"go\n")
        clients()
        if what != "crash":
            ours.sendall(b"stop\n")
    elif o["event"] == "ready":
        ours.close()
        break
print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
