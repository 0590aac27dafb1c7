#!/usr/bin/env python3
"""Hold `berth plan --jobs` to what the engine measured: truth.py BERTH MODELS LIMITS

MODELS has headers*/NAME.gguf and truth*/NAME.KIND.jsonl, one measured configuration a line. Every row is asked
as a job and every buffer compared; then every row with devices is asked again with memory just below, just above
and well above what was measured. A table per architecture is printed. LIMITS (a JSON object) holds what was
reached: to be worse is a failure, and with UPDATE=1 what is better is written back. VERBOSE=ARCH lists that
architecture's worst rows.
"""
import collections
import glob
import json
import os
import subprocess
import sys

MIB = 1 << 20
KINDS = {"sim": "cuda", "rpc": "rpc", "vulkan": "vulkan", "cpu": "cpu"}
PLENTY = 1 << 44
MARGIN = 256 * MIB
# lavapipe's largest storage buffer; the rows of that kind were measured on it.
LAVAPIPE_BUFFER = 128 * MIB


def devices_of(job):
    names = job.get("dev", "none")
    return [] if names == "none" else names.split(",")


def job_of(row, header, memory):
    kind = row["kind"]
    gpus = []
    for name in devices_of(row["job"]):
        gpu = {"name": name, "backend": KINDS[kind], "memory_bytes": memory.get(name, PLENTY)}
        if kind == "vulkan":
            gpu["max_buffer_bytes"] = LAVAPIPE_BUFFER
        gpus.append(gpu)
    flags = {k: v for k, v in row["job"].items() if k != "dev"}
    return {"model": header, "gpus": gpus, "flags": flags, "margin_bytes": MARGIN}


def ask(berth, jobs):
    lines = "".join(json.dumps(j) + "\n" for j in jobs)
    done = subprocess.run([berth, "plan", "--jobs", "-"], input=lines, capture_output=True, text=True, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(jobs) or done.returncode not in (0, 4):
        sys.exit(f"{len(jobs)} jobs, {len(answers)} answers, exit {done.returncode}: {done.stderr[-400:]}")
    return answers


def read_rows(models):
    for path in sorted(glob.glob(f"{models}/truth*/*.jsonl")):
        folder, name = os.path.split(path)
        kind = name.split(".")[-2]
        header = f"{folder.replace('/truth', '/headers')}/{name[:-len(kind) - 7]}.gguf"
        with open(path, encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                row["kind"] = row["backend"]
                yield row, header


def measured(row):
    """Bytes by (device, host) and part, named as --jobs names them."""
    out = collections.defaultdict(lambda: [0, 0, 0])
    for name, b in row["buft"].items():
        host = bool(b["host"])
        dev = b["dev"] + "_Host" if host and b["dev"] else b["dev"] or "CPU"
        for i, part in enumerate(("model", "context", "compute")):
            out[dev, host][i] += b[part]
    return out


def answered(answer):
    out = collections.defaultdict(lambda: [0, 0, 0])
    for b in answer["buffers"]:
        for i, part in enumerate(("weights_bytes", "kv_bytes", "compute_bytes")):
            out[b["device"], b["host"]][i] += b[part]
    return out


def is_plain(row):
    """Everything on one device, flash attention and a plain cache: the stricter limit."""
    job = row["job"]
    odd = ("ncmoe", "kvo", "opo", "xb", "ts", "ot")
    return (row["kind"] != "cpu" and "," not in job.get("dev", "none") and "ngl" not in job
            and not any(k in job for k in odd) and job.get("fa") != "off"
            and job.get("ctk", "f16") == "f16" and job.get("ctv", "f16") == "f16")


class Score:
    def __init__(self):
        self.n = collections.Counter()
        self.low = collections.Counter()
        self.worst = []

    def add(self, row, answer):
        self.n["rows"] += 1
        refused = answer.get("verdict") == "refused"
        if "error" in row or not row["buft"]:
            self.n["refusals"] += 1
            self.n["foreseen"] += refused
            return
        self.n["false refusals"] += refused
        if "buffers" not in answer:
            self.n["unanswered"] += 1
            return
        have, want = answered(answer), measured(row)
        keys = have.keys() | want.keys()
        self.n["answered"] += 1
        self.n["contexts"] += (answer["n_ctx"], answer["n_ctx_seq"]) == (row["n_ctx"], row["n_ctx_seq"])
        self.n["weights"] += all(have[k][0] == want[k][0] for k in keys)
        self.n["kv"] += all(have[k][1] == want[k][1] for k in keys)
        self.compute(row, [(have[k][2] - want[k][2], want[k][2], k) for k in sorted(keys)])

    def compute(self, row, errors):
        """errors: (over or under, measured, buffer) of every buffer"""
        plain = is_plain(row)
        group, share, least = ("plain", 0.02, 8 * MIB) if plain else ("other", 0.05, 32 * MIB)
        bound = [max(share * m, least) for _, m, _ in errors]
        low = [d < -(least if plain else b) for (d, _, _), b in zip(errors, bound)]
        self.n[group] += 1
        self.n[group + " within"] += all(abs(d) <= b for (d, _, _), b in zip(errors, bound))
        self.n[group + " low"] += any(low)
        self.low[group] = min(self.low[group], min(d for d, _, _ in errors))
        self.n["exact"] += all(d == 0 for d, _, _ in errors)
        d, m, k = max(errors, key=lambda x: abs(x[0]))
        self.worst.append((abs(d), d, m, k[0], row["model"], row["kind"], json.dumps(row["job"])))


def share(n, part, whole):
    return 100.0 * n[part] / n[whole] if n[whole] else 100.0


def table(scores):
    print(f"{'architecture':15} {'rows':>5} {'answered':>8} {'weights':>8} {'caches':>8} {'exact':>7} "
          f"{'plain':>7} {'low':>4} {'worst':>8} {'other':>7} {'low':>4} {'worst':>9} {'refused':>9} {'false':>5}")
    for arch, s in sorted(scores.items()):
        n = s.n
        print(f"{arch:15} {n['rows']:5} {n['answered']:8} {share(n, 'weights', 'answered'):7.2f}% "
              f"{share(n, 'kv', 'answered'):7.2f}% {share(n, 'exact', 'answered'):6.1f}% "
              f"{share(n, 'plain within', 'plain'):6.1f}% {n['plain low']:4} {s.low['plain'] / MIB:8.1f} "
              f"{share(n, 'other within', 'other'):6.1f}% {n['other low']:4} {s.low['other'] / MIB:9.1f} "
              f"{n['foreseen']:4}/{n['refusals']:<4} {n['false refusals']:5}")


def boundary(berth, asked):
    """Memory at the measured total and the margin, less 1 MiB, plus 1 and plus 257."""
    n = collections.Counter()
    jobs, steps = [], []
    for row, header in asked:
        total = {k[0]: sum(v) for k, v in measured(row).items() if not k[1] and k[0] != "CPU"}
        for step in (-1, 1, 257):
            memory = {name: v + MARGIN + step * MIB for name, v in total.items() if v}
            jobs.append(job_of(row, header, memory))
            steps.append((step, row))
    for (step, row), answer in zip(steps, ask(berth, jobs)):
        yes = answer["verdict"] in ("fits", "spills")
        n["asked"] += answer["verdict"] in ("fits", "spills", "no")
        if step < 0 and yes:
            n["false yes"] += 1
            if os.environ.get("VERBOSE") == row["arch"]:
                print("false yes", row["model"], row["kind"], row["job"])
        if step > 256:
            n["beyond"] += 1
            n["false no"] += answer["verdict"] == "no"
            if answer["verdict"] == "no" and os.environ.get("VERBOSE") == row["arch"]:
                print("false no", row["model"], row["kind"], row["job"], answer["why"])
    return n


def judge(reached, path):
    """Compare with what was reached before, on the same rows. All other numbers: smaller is better."""
    limits = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            limits = json.load(f)
    if limits.get("rows") != reached["rows"]:
        if limits and not os.environ.get("UPDATE"):
            print(f"FAIL {reached['rows']} measured rows, {limits['rows']} before: UPDATE=1 starts anew")
            return 1
        limits = {}
    worse = {k: (v, limits[k]) for k, v in reached.items() if k in limits and v > limits[k]}
    for k, (v, limit) in sorted(worse.items()):
        print(f"FAIL {k}: {v}, and {limit} was reached before")
    better = {k: min(v, limits.get(k, v)) for k, v in reached.items()}
    if better != limits and os.environ.get("UPDATE"):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(better, f, indent=1, sort_keys=True)
            f.write("\n")
    if not limits and not os.environ.get("UPDATE"):
        print(f"FAIL no limits in {path}")
        return 1
    print("\n".join(f"ok {k}: {v}" for k, v in sorted(reached.items()) if k not in worse), flush=True)
    return 1 if worse else 0


def main():
    berth, models, limits = sys.argv[1:]
    rows = list(read_rows(models))
    if len(rows) < 6128:
        sys.exit(f"only {len(rows)} measured rows in {models}")
    scores = collections.defaultdict(Score)
    answers = ask(berth, [job_of(row, header, {}) for row, header in rows])
    for (row, _), answer in zip(rows, answers):
        scores[row["arch"]].add(row, answer)
    table(scores)
    verbose = os.environ.get("VERBOSE")
    for worst in sorted(scores[verbose].worst, reverse=True)[:40] if verbose in scores else []:
        print(f"{worst[1] / MIB:+9.2f} of {worst[2] / MIB:9.2f} MiB", *worst[3:])
    judged = [(row, header) for (row, header), a in zip(rows, answers)
              if "buffers" in a and row.get("buft") and devices_of(row["job"])]
    b = boundary(berth, judged)
    n = sum((s.n for s in scores.values()), collections.Counter())
    # A row without an answer counts against everything, or answering more would look worse.
    none = n["unanswered"]
    reached = {
        "rows": n["rows"],
        "rows whose context differs": none + n["answered"] - n["contexts"],
        "rows whose weights differ": none + n["answered"] - n["weights"],
        "rows whose caches differ": none + n["answered"] - n["kv"],
        "full offload, rows out of bounds": none + n["plain"] - n["plain within"],
        "full offload, rows low": none + n["plain low"],
        "other placements, rows out of bounds": none + n["other"] - n["other within"],
        "other placements, rows low": none + n["other low"],
        "refusals not foreseen": n["refusals"] - n["foreseen"],
        "false refusals": n["false refusals"],
        "verdicts: false yes": none + b["false yes"],
        "verdicts: false no beyond 256 MiB": none + b["false no"],
    }
    print(f"{n['rows']} rows, {n['answered']} answered, {n['exact']} with every compute buffer exact; "
          f"{share(n, 'plain within', 'plain'):.2f} % of {n['plain']} at full offload within 2 % or 8 MiB, "
          f"{share(n, 'other within', 'other'):.2f} % of {n['other']} others within 5 % or 32 MiB; "
          f"{b['asked']} verdicts")
    sys.exit(judge(reached, limits))


main()
