# SPDX-License-Identifier: MIT
"""Servers compared, run by run: serve.py BUILD.

First our core and Debian's llama-server, both over the same libllama and ggml (root.sh), on one thread, with the
same model, cache and requests. One model is so small that all but the engine's arithmetic shows, the other large
enough for the arithmetic. A ratio over 1 is ours being better; the one per CPU second is disturbed less by whatever
else the machine does. Then, with the pinned engine, what the supervisor costs, and for how long a killed core is
missed. BENCH_RUNS runs of each (5); the median counts.
"""
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BUILD = os.path.abspath(sys.argv[1])
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
PEER = BUILD + "/bench"
ROOT = PEER + "/root/usr/lib/x86_64-linux-gnu"
CLIENT = BUILD + "/tests/bench/serve"
BERTH = BUILD + "/bin/berth"
CONTEXT = 8192
PEER_NAME = "llama-server"
FIRST, LONGEST = 4, 5  # columns of the client's line
OUTAGE_MS = 200  # beyond what loading takes

# Tokens of the vocabulary, modelgen's options, and for each kind of request: requests, tokens of the prompt, tokens
# to generate. "disturbed": of the prompt that comes in between.
MODELS = {
    "tiny": (512, [], {"prompt": (3, 512, 1), "generation": (1, 8, 300), "mixed": (2, 200, 32),
                       "again": (40, 512, 1), "disturbed": (1, 3000, 900)}),
    "136 MB": (32768, ["--layers", "12", "--embd", "768", "--ff", "2048", "--heads", "12", "--kv-heads", "4"],
               {"prompt": (2, 256, 1), "generation": (1, 8, 64), "mixed": (1, 100, 24),
                "again": (20, 256, 1), "disturbed": (1, 800, 300)}),
}


def client(*args):
    """The numbers of one run."""
    got = subprocess.run([CLIENT, *map(str, args)], stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return [int(word) for word in got.stdout.split()]


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as r:
            return r.status == 200
    except OSError:
        return False


class Server:
    """A program that listens at a port of its own; `argv` and `cwd` as it wants them."""

    def __init__(self, argv, port, cwd=None, env=None):
        self.argv, self.port, self.cwd = argv, port, cwd
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(argv, cwd=cwd, env=env, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(600):
            if answers(self.port):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.log.seek(0)
        said = self.log.read().decode(errors="replace").strip().splitlines()[-3:]
        self.__exit__()
        raise SystemExit(f"serve: {self.argv[0]} does not serve: {' / '.join(said)}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def load(self, *args, how="fresh"):
        return client("load", self.port, self.process.pid, *args, how)

    def disturbed(self, prompt, tokens, vocab, seed):
        """The longest wait of a client for its next token while another sends a long prompt."""
        got = []
        one = threading.Thread(target=lambda: got.extend(self.load(1, 1, 8, tokens, vocab, seed)))
        one.start()
        time.sleep(0.05)
        self.load(1, 1, prompt, 1, vocab, seed + 1)
        one.join()
        return got


def free_port():
    return client("port")[0]


def core_argv(core, plan, port):
    return [core, "--plan", plan, "--threads", "1", "--serve", "--no-key", "--name", "bench",
            "--listen", f"127.0.0.1:{port}"]


def peer_argv(model, port):
    """What only they have and what would cost them time is off: the page, prompts kept beside the sequences."""
    return [PEER + "/llama-server", "-m", model, "-a", "bench", "-c", str(CONTEXT), "-np", "8", "-kvu",
            "-b", "2048", "-ub", "512", "-fa", "on", "-t", "1", "-tb", "1", "--host", "127.0.0.1",
            "--port", str(port), "--no-ui", "--cache-ram", "0", "--no-cache-idle-slots", "--no-warmup"]


def make_model(folder, name, vocab, options):
    model, plan = f"{folder}/{name}.gguf", f"{folder}/{name}.json"
    subprocess.run([BUILD + "/tests/modelgen/modelgen", "-o", model, "--type", "q8_0", "--ctx", str(CONTEXT),
                    "--vocab", str(vocab), *options], check=True)
    with open(plan, "w", encoding="utf-8") as f:
        subprocess.run([BERTH, "plan", model, "--accept", "cpu", "-c", str(CONTEXT), "--parallel", "8", "--json"],
                       stdout=f, check=True)
    return model, plan


def in_turn(one, other):
    """RUNS pairs of results; who is first changes, so that neither has the quieter half of every pair."""
    pairs = []
    for i in range(RUNS):
        if i % 2:
            b = other(i)
            pairs.append((one(i), b))
        else:
            a = one(i)
            pairs.append((a, other(i)))
    return pairs


def row(name, unit, pairs, peer, more_is_better=True):
    """One line: both medians, and the median of the ratios of the pairs. The ratio."""
    ratio = statistics.median(a / b if more_is_better else b / a for a, b in pairs)
    ours, theirs = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    digits = 0 if min(ours, theirs) >= 100 else 1 if min(ours, theirs) >= 10 else 2
    print(f"{name:44} {ours:9.{digits}f} {unit:13} {peer} {theirs:9.{digits}f}: ratio {ratio:.2f}", flush=True)
    return ratio


def rates(name, pairs, tokens_at, peer):
    """Tokens a second, and a second of CPU; `tokens_at` are the columns that count."""
    def rate(line, by):
        return sum(line[at] for at in tokens_at) / line[by] * 1e9
    row(name, "tok/s", [(rate(a, 0), rate(b, 0)) for a, b in pairs], peer)
    row("", "tok/CPU-s", [(rate(a, 1), rate(b, 1)) for a, b in pairs], peer)


def latency(name, pairs, at, peer):
    row(name, "ms", [(a[at] / 1e6, b[at] / 1e6) for a, b in pairs], peer, False)


COUNTED = {"prompt": (2,), "generation": (3,), "mixed": (2, 3)}


def compare_kind(name, kind, clients, sizes, vocab, ours, theirs):
    requests, prompt, tokens = sizes
    args = (clients, max(1, requests // (clients if kind == "prompt" else 1)), prompt, tokens, vocab)
    ours.load(*args, 0), theirs.load(*args, 0)  # touch what is touched first
    pairs = in_turn(lambda i: ours.load(*args, i + 1), lambda i: theirs.load(*args, i + 1))
    what = f"{name}: {kind}, {clients} client" + "s" * (clients > 1)
    rates(what, pairs, COUNTED[kind], PEER_NAME)
    if kind != "generation":
        latency(what + ", first token", pairs, FIRST, PEER_NAME)


def compare_waits(name, kinds, vocab, ours, theirs):
    """What one client waits for: a short prompt, one that was there before, and others' long ones."""
    requests, prompt, tokens = kinds["again"]
    for what, args, how in (("8 tokens", (1, requests, 8, 1, vocab), "fresh"),
                            (f"{prompt} tokens again", (1, requests, prompt, tokens, vocab), "again")):
        latency(f"{name}: {what}, first token",
                in_turn(lambda i: ours.load(*args, i + 1, how=how), lambda i: theirs.load(*args, i + 1, how=how)),
                FIRST, PEER_NAME)
    _, prompt, tokens = kinds["disturbed"]
    latency(f"{name}: longest gap as {prompt} tokens come",
            in_turn(lambda i: ours.disturbed(prompt, tokens, vocab, 2 * i),
                    lambda i: theirs.disturbed(prompt, tokens, vocab, 2 * i)), LONGEST, PEER_NAME)


def compare_peers(folder):
    with open(PEER + "/version", encoding="utf-8") as f:
        print(f"core and llama-server {f.read().strip()}, one thread, CPU; medians of {RUNS}", flush=True)
    core, backends = PEER + "/core/libexec/berth/core", ROOT + "/ggml/backends0"
    for name, (vocab, options, kinds) in MODELS.items():
        model, plan = make_model(folder, name.replace(" ", ""), vocab, options)
        a, b = free_port(), free_port()
        starts = in_turn(lambda _: client("start", a, "/", *core_argv(core, plan, a)),
                         lambda _: client("start", b, backends, *peer_argv(model, b)))
        latency(f"{name}: start to /health", starts, 0, PEER_NAME)
        latency(f"{name}: CPU of the start", starts, 1, PEER_NAME)
        with Server(core_argv(core, plan, a), a) as ours, Server(peer_argv(model, b), b, cwd=backends) as theirs:
            for clients in (1, 8):
                for kind in COUNTED:
                    if kind != "mixed" or clients > 1:
                        compare_kind(name, kind, clients, kinds[kind], vocab, ours, theirs)
            compare_waits(name, kinds, vocab, ours, theirs)


# --- the supervisor ---

def record(name, env):
    got = subprocess.run([BERTH, "ps", "--json"], stdout=subprocess.PIPE, env=env, check=True)
    return next((r for r in json.loads(got.stdout)["runs"] if r["name"] == name), None)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def launched(folder, model, port, env):
    return Server([BERTH, "launch", model, "--accept", "cpu", "-c", str(CONTEXT), "--parallel", "8", "--serve",
                   "--no-key", "--name", "bench", "--listen", f"127.0.0.1:{port}"], port, env=env)


def compare_load(run, core, alone, vocab):
    """The same core under launch and alone."""
    began, cpu = time.monotonic(), cpu_s(run.process.pid)
    for clients, requests, tokens in ((1, 1, 300), (8, 1, 150)):
        args = (clients, requests, 8, tokens, vocab)
        rates(f"under launch: generation, {clients} client" + "s" * (clients > 1),
              in_turn(lambda i: client("load", run.port, core, *args, i, "fresh"), lambda i: alone.load(*args, i)),
              (3,), "alone")
    args = (1, 10, 8, 1, vocab)
    latency("under launch: first token",
            in_turn(lambda i: client("load", run.port, core, *args, i, "fresh"), lambda i: alone.load(*args, i)), FIRST, "alone")
    used = (cpu_s(run.process.pid) - cpu) / (time.monotonic() - began) * 100
    print(f"{'the supervisor used':44} {used:9.2f} % of a CPU")


def compare_outage(outages, starts):
    outage, start = statistics.median(outages), statistics.median(starts)
    late = outage > start + OUTAGE_MS
    print(f"{'a killed core was missed for':44} {outage:9.0f} ms; alone it starts in {start:.0f} ms, and "
          f"{OUTAGE_MS} more are allowed{': TOO LONG' if late else ''}", flush=True)
    return late


def compare_supervised(folder):
    """All on one CPU: launch gives the core one thread then."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    vocab, options, _ = MODELS["tiny"]
    model, plan = make_model(folder, "supervised", vocab, options)
    env = dict(os.environ, BERTH_RUNTIME_DIR=folder + "/run", BERTH_STATE_DIR=folder + "/state")
    for key in ("run", "state"):
        os.mkdir(f"{folder}/{key}", 0o700)
    a, b = free_port(), free_port()
    argv = core_argv(BUILD + "/libexec/berth/core", plan, b)
    starts = [client("start", b, "/", *argv)[0] / 1e6 for _ in range(RUNS)]
    with launched(folder, model, a, env) as run, Server(argv, b) as alone:
        compare_load(run, record("bench", env)["core_pid"], alone, vocab)
    outages = []
    for _ in range(RUNS):
        # Another supervisor each time: the second failure in a row is made to wait, and rightly
        a = free_port()
        with launched(folder, model, a, env):
            outages.append(client("outage", a, record("bench", env)["core_pid"])[0] / 1e6)
    return compare_outage(outages, starts)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        if os.path.exists(PEER + "/version"):
            compare_peers(folder)
        return compare_supervised(folder)


if __name__ == "__main__":
    sys.exit(main())
