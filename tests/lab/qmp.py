"""QEMU's machine protocol over a connected socket: one object a line, answers between events."""
import json
import time


class Monitor:
    def __init__(self, sock, deadline):
        self.sock, self.deadline = sock, deadline
        self.pending = b""
        self.events = []
        self.read()  # the greeting
        self.execute("qmp_capabilities")

    def read(self):
        """The next object; OSError when QEMU is gone or the time is up."""
        while b"\n" not in self.pending:
            self.sock.settimeout(max(0.1, self.deadline - time.monotonic()))
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("QEMU has closed its monitor")
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def execute(self, command, arguments=None):
        """The whole answer: an object with `return` or with `error`."""
        ask = {"execute": command, "arguments": arguments or {}}
        self.sock.sendall(json.dumps(ask).encode() + b"\n")
        while True:
            answer = self.read()
            if "return" in answer or "error" in answer:
                return answer
            self.events.append(answer)
