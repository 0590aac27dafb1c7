"""The bridges of a machine, for vm.py: real servers of devices in files, at OUT/NAME.sock, which the machine's QEMU connects to."""
import json
import os
import subprocess
import time

BERTH = os.environ.get("BERTH", "build/bin/berth")
DEVICES = "bar-forward/devices"
TROUBLE = ("Sanitizer", "runtime error:")


class Bridge:
    def __init__(self, case, out, name, device, *options):
        self.socket, self.log = f"{out}/{name}.sock", out / f"{name}.log"
        # "replay:FILE": a recording in its place
        verb, _, what = device.rpartition(":")
        what = what.replace("CASE", str(case)) if "/" in what else f"{DEVICES}/{what}"
        self.words = [BERTH, "bridge", verb or "serve", what, "--socket", self.socket, "-v",
                      *[word.replace("OUT", str(out)) for word in options]]
        self.env = {**os.environ, "BERTH_RUNTIME_DIR": f"{out}/run"}
        self.process = None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        until = time.monotonic() + 120
        while "waits for" not in self.text():
            if self.process.poll() is not None or time.monotonic() > until:
                raise OSError(f"the bridge does not come up: {self.text()}")
            time.sleep(0.02)

    def status(self):
        """A page that is being written for as long as somebody looks is left out: look again."""
        until = time.monotonic() + 120
        while True:
            out = subprocess.run([BERTH, "bridge", "status", "--json"], check=True, stdout=subprocess.PIPE, env=self.env).stdout
            found = [b for b in json.loads(out)["bridges"] if b["socket"] == self.socket]
            if found or time.monotonic() > until:
                return found[0]

    def settled(self):
        """The page is a little behind: what it says once it says the same for longer."""
        last, since, until = self.status(), time.monotonic(), time.monotonic() + 60
        while time.monotonic() - since < 2 and time.monotonic() < until:
            time.sleep(0.05)
            now = self.status()
            if now != last:
                last, since = now, time.monotonic()
        return last

    def ask(self, words):
        """One line for a guest: `KEY...` of its status, as text; `settled KEY...`; `said TEXT`: how often its log has it."""
        if words[0] == "said":
            return str(self.text().count(" ".join(words[1:])))
        now = self.settled() if words[0] == "settled" else self.status()
        return " ".join(str(now.get(key)) for key in words if key != "settled")

    def end(self):
        """What was wrong with it in the end; nothing, if nothing was."""
        if not self.process:
            return ""
        self.process.terminate()
        try:
            rc = self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "it does not end when it is told to"
        found = next((line for line in self.text().splitlines() if any(t in line for t in TROUBLE)), None)
        return found or (f"exit {rc}: {self.text()[-500:]}" if rc else "")
