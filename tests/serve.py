# SPDX-License-Identifier: MIT
"""Clients of the core's HTTP that no good library is: serve.py ADDRESS:PORT KEY CASE [N]; prints "ok NAME" or "FAIL NAME: why"."""
import concurrent.futures
import json
import os
import re
import socket
import sys
import threading
import time

HOST, PORT = sys.argv[1].rsplit(":", 1)
KEY = sys.argv[2]
LONG = 60  # seconds, for what comes at once where nothing else is done
HEADERS = f"Host: localhost\r\nAuthorization: Bearer {KEY}\r\n"


def connect():
    return socket.create_connection((HOST, int(PORT)), timeout=LONG)


def request(path, body=None, extra=""):
    if body is None:
        return f"GET {path} HTTP/1.1\r\n{HEADERS}{extra}\r\n".encode()
    data = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\n{HEADERS}{extra}Content-Length: {len(data)}\r\n\r\n".encode() + data


def completion(prompt, **more):
    return request("/v1/completions", {"model": "fake", "prompt": prompt, **more})


def read_all(s):
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except (ConnectionResetError, TimeoutError):
        pass
    return data


def read_answer(s):
    """One answer with a Content-Length: status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = s.recv(65536)
        if not chunk:
            return 0, data
        data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += s.recv(65536)
    return int(head.split()[1]), body


def once(data):
    with connect() as s:
        s.sendall(data)
        return read_answer(s)


def metric(name):
    _, body = once(request("/metrics"))
    for line in body.decode().splitlines():
        if line.startswith("berth_" + name + "{"):
            return float(line.split()[-1])
    return None


def until(what):
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return what()


def check(name, good, why=""):
    print(f"ok {name}" if good else f"FAIL {name}: {why}", flush=True)


def vanish():
    """Who leaves, streaming or not, is not computed for."""
    before = metric("requests_cancelled_total")
    for prompt, stream in (("hang", False), ("hang", True), ("slow", True)):
        s = connect()
        s.sendall(completion(prompt, stream=stream))
        if prompt == "slow":
            s.recv(100)
        else:
            until(lambda: metric("slots_busy") == 1)
        s.close()
        until(lambda: metric("slots_busy") == 0)
    check("a client that leaves cancels its request", until(lambda: metric("requests_cancelled_total") == before + 3),
          f"{metric('requests_cancelled_total') - before} of 3 were cancelled")
    check("and nothing stays at work", until(lambda: metric("slots_busy") == 0), metric("slots_busy"))


def streams(n):
    """Many streams at once, each whole and its own."""
    wrong = []

    def one(i):
        words = " ".join(f"w{i}-{k}" for k in range(20))
        with connect() as s:
            s.sendall(completion(words, stream=True, max_tokens=100))
            data = b""
            while b"[DONE]" not in data:
                chunk = s.recv(65536)
                if not chunk:
                    break
                data += chunk
        text = "".join(json.loads(line[6:])["choices"][0]["text"] for line in data.decode().splitlines()
                       if line.startswith("data: {") and json.loads(line[6:])["choices"])
        if text != words:
            wrong.append((i, text[:40]))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(f"{n} streams at once", not wrong, f"{len(wrong)} are wrong: {wrong[:2]}")


def slowloris(n):
    """Clients that begin and do not go on take no other's place, and are let go."""
    slow = []
    for i in range(n):
        try:
            s = connect()
            s.sendall((b"POST /v1/completions HTTP/1.1\r\nHost: loc", completion("x")[:-4], b"")[i % 3])
            slow.append(s)
        except OSError:
            break

    def health():
        try:
            return once(request("/health"))[0]
        except OSError:
            return 0  # we were slow ourselves, and let go
    check("others are served meanwhile", until(lambda: health() in (200, 503)), "never")
    check("soon with success", until(lambda: health() == 200), "still refused")

    def gone():
        left = 0
        for s in slow:
            s.setblocking(False)
            try:
                if s.recv(4096):
                    left += 1
            except BlockingIOError:
                left += 1
            except OSError:
                pass
        return left == 0
    check("the slow are let go", until(gone), "some are still there")
    for s in slow:
        s.close()


def trickle():
    """A byte now and then is no request: the time to ask is counted from its beginning."""
    s, gone = connect(), False
    try:
        for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 1000:
            s.sendall(bytes([byte]))
            time.sleep(0.1)
    except OSError:
        gone = True
    check("a trickling client is let go", gone, "never")


def deaf():
    """A client that does not read its stream holds up nobody."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect((HOST, int(PORT)))
    s.sendall(completion(" ".join(["word"] * 30000), stream=True))
    time.sleep(0.3)
    status, _ = once(completion("hello"))
    check("others are served while one does not read", status == 200, status)
    s.close()
    check("the deaf one's request ends", until(lambda: metric("slots_busy") == 0), metric("slots_busy"))


def queue():
    """A full queue says so, and when to come back."""
    held = []
    for _ in range(4):
        s = connect()
        s.sendall(completion("hang"))
        held.append(s)
    until(lambda: metric("slots_busy") == 4)
    with connect() as s:
        s.sendall(completion("one more"))
        data = s.recv(65536)
    check("a full queue is 503", data.startswith(b"HTTP/1.1 503") and b"Retry-After" in data, data[:200])
    for s in held:
        s.close()
    check("and then has room", until(lambda: once(completion("again"))[0] == 200), "not again")
    inputs = request("/v1/embeddings", {"model": "fake", "input": ["x"] * 50})
    status, body = once(inputs)
    check("more texts than the queue holds go in turn", status == 200 and len(json.loads(body)["data"]) == 50, body[:200])


def keep(n):
    """Many requests on kept connections: no memory, no descriptor is lost."""
    pid = int(os.environ["SERVER_PID"])

    def usage():
        with open(f"/proc/{pid}/status") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        return rss, len(os.listdir(f"/proc/{pid}/fd"))

    def some(k):
        with connect() as s:
            for i in range(k):
                s.sendall(completion("a b", stream=False) if i % 5 else request("/v1/models"))
                status, _ = read_answer(s)
                if status != 200:
                    return status
        return 200
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bad = [x for x in pool.map(some, [100] * 16) if x != 200]
    until(lambda: metric("slots_busy") == 0)
    before = usage()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bad += [x for x in pool.map(some, [100] * (n // 100)) if x != 200]
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before[1])
    after = usage()
    check(f"{n} requests", not bad, bad[:3])
    # A sanitizer keeps what was freed for a while; it looks for leaks by itself, at the end.
    if not os.environ.get("SAN"):
        check("no memory is lost", after[0] - before[0] < 2048, f"{before[0]} then {after[0]} KiB")
    check("no descriptor is lost", after[1] <= before[1] + 2, f"{before[1]} then {after[1]}")


def plain():
    """What HTTP/1.1 has and clients use."""
    with connect() as s:
        s.sendall(request("/v1/models") + completion("first") + completion("second") + request("/nothing"))
        answers = []
        data = b""
        while len(answers) < 4:
            head, mark, rest = data.partition(b"\r\n\r\n")
            length = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0)
            if mark and len(rest) >= length:
                answers.append((int(head.split()[1]), rest[:length]))
                data = rest[length:]
                continue
            chunk = s.recv(65536)
            if not chunk:
                break
            data += chunk
    check("requests sent together are answered in turn", [a[0] for a in answers] == [200, 200, 200, 404]
          and b"first" in answers[1][1] and b"second" in answers[2][1], answers)
    whole = completion("after a while", stream=False)
    head, body = whole.split(b"\r\n\r\n", 1)
    with connect() as s:
        s.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        first = s.recv(65536)
        s.sendall(body)
        status, answer = read_answer(s)
    check("a body that waits to be asked for is", first.startswith(b"HTTP/1.1 100") and status == 200, f"{first} {status} {answer[:80]}")
    with connect() as s:
        s.sendall(head.replace(KEY.encode(), b"wrong") + b"\r\nExpect: 100-continue\r\n\r\n")
        status, _ = read_answer(s)
    check("and is not when the key is wrong", status == 401, status)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7)) + b"0\r\n\r\n"
    lines = [x for x in head.split(b"\r\n") if not x.startswith(b"Content-Length")]
    with connect() as s:
        s.sendall(b"\r\n".join(lines) + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        status, answer = read_answer(s)
    check("a body in chunks", status == 200 and b"after a while" in answer, f"{status} {answer[:80]}")
    with connect() as s:
        s.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        data = read_all(s)
    check("HTTP/1.0 ends with its answer", b" 200 " in data.split(b"\r\n")[0] and b"ok" in data, data[:100])
    with connect() as s:
        s.sendall(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        data = read_all(s)
    check("HEAD has no body", data.endswith(b"\r\n\r\n") and b" 200 " in data, data[-100:])


def metrics():
    """What Prometheus' own checker asks of its text: help and type before the samples, names and units, no series twice."""
    _, body = once(request("/metrics"))
    types, helps, seen, wrong = {}, set(), set(), []
    sample = re.compile(r'([a-z_][a-z0-9_]*)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (\S+)')
    for line in body.decode().split("\n")[:-1]:
        words = line.split(" ", 3)
        if words[:2] == ["#", "HELP"]:
            helps.add(words[2])
            wrong += [line] if not words[3].endswith(".") else []
        elif words[:2] == ["#", "TYPE"]:
            wrong += [line] if words[2] in types or words[2] not in helps else []
            types[words[2]] = words[3]
        else:
            m = sample.fullmatch(line)
            if not m or m.group(1) not in types or (m.group(1), m.group(2)) in seen or float(m.group(3)) < 0:
                wrong.append(line)
            else:
                seen.add((m.group(1), m.group(2)))
    for name, kind in types.items():
        if not name.startswith("berth_") or kind not in ("counter", "gauge") or (kind == "counter") != name.endswith("_total") \
                or re.search(r"_(ms|ns|kib|mib|milliseconds)(_|$)", name) or name not in {x for x, _ in seen}:
            wrong.append(name)
    check("metrics are what Prometheus expects", not wrong and len(types) > 20 and body.endswith(b"\n"), wrong[:3])


def strangers(limit):
    """Another user of this machine gets no more than a part of the connections."""
    if os.geteuid() != 0:
        print("only root can be somebody else: left out", flush=True)
        return
    "localhost".encode("idna")  # what connect() loads may not be readable for others
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        os.setgid(65534)
        os.setuid(65534)
        held, told, gone = [], 0, 0
        for _ in range(limit):
            try:
                s = connect()
                s.sendall(request("/health"))
                status, body = read_answer(s)
            except OSError:
                status, body = 0, b""
            held.append(s)
            told += status == 503 and b"a quarter" in body
            gone += status == 0
        os.write(w, json.dumps([limit - told - gone, told, gone]).encode())
        os.close(w)
        time.sleep(60)
        os._exit(0)
    os.close(w)
    served, told, gone = json.loads(os.read(r, 4096))
    check("another user has a quarter of the connections", served == limit // 4 and told == 8, [served, told, gone])
    # Who connects and does not ask is let go, where there are many
    mine = []
    for _ in range(limit // 4 * 3 - 8):
        mine.append(connect())
        mine[-1].sendall(request("/health"))
    good = sum(read_answer(s)[0] == 200 for s in mine)
    check("the rest is the owner's", good == len(mine), f"{good} of {len(mine)}")
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def malformed():
    """Whatever is no HTTP ends with an answer or a closed connection, and the server goes on."""
    for i, data in enumerate((
            b"\0" * 2000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 500,
            b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
            b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
            b"POST /v1/completions HTTP/1.1\r\n" + HEADERS.encode() + b"Content-Length: -5\r\n\r\n",
            b"POST /v1/completions HTTP/1.1\r\n" + HEADERS.encode() + b"Content-Length: 99999999999999999999999\r\n\r\n",
            b"POST /v1/completions HTTP/1.1\r\n" + HEADERS.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /v1/models/%00%ff%2e HTTP/1.1\r\n" + HEADERS.encode() + b"\r\n")):
        with connect() as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            read_all(s)
        if once(request("/health"))[0] != 200:
            check("nonsense", False, f"case {i}")
            return
    check("nonsense", True)
    body = b"{" + b" " * (2 << 20)
    head = f"POST /v1/completions HTTP/1.1\r\n{HEADERS}Content-Length: {len(body)}\r\n\r\n".encode()
    status, answer = once(head + body)
    check("a body over the limit is 413", status == 413 and b'"error"' in answer, f"{status} {answer[:100]}")
    with connect() as s:
        s.sendall(f"POST /v1/completions HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(40):
            s.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        status, answer = read_answer(s)
    check("one of unknown length too", status == 413, f"{status} {answer[:100]}")
    deep = b'{"model":"fake","prompt":' + b"[" * 100000 + b"]" * 100000 + b"}"
    head = f"POST /v1/completions HTTP/1.1\r\n{HEADERS}Content-Length: {len(deep)}\r\n\r\n".encode()
    check("a deep body is 400", once(head + deep)[0] == 400)


CASES = {f.__name__: f for f in (vanish, streams, slowloris, trickle, deaf, queue, keep, malformed, metrics, plain, strangers)}
CASES[sys.argv[3]](*(int(x) for x in sys.argv[4:]))
