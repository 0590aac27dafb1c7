# SPDX-License-Identifier: MIT
"""QEMU's test port: a machine without a guest, whose buses are read and written from here."""
import json
import socket
import subprocess
import sys

CF8, CFC = 0xCF8, 0xCFC
INSIDE = "/srv"  # where the folder is in QEMU's root


class Qtest:
    """QEMU in its root, with the folder mounted there; its test port at a socket. The device is at `slot` of an i440FX."""

    def __init__(self, root, folder, device, *more, slot=4):
        self.folder, self.root, self.slot = folder, root, slot
        subprocess.run(["mount", "--bind", folder, root + INSIDE], check=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/qtest")
        listener.listen(1)
        self.log = open(f"{folder}/qemu.log", "w+", encoding="utf-8")
        self.p = subprocess.Popen(
            ["chroot", root, "qemu-system-x86_64", "-display", "none", "-nodefaults", "-machine", "pc,memory-backend=m",
             "-object", "memory-backend-memfd,id=m,size=64M,share=on", "-accel", "qtest", "-qtest", f"unix:{INSIDE}/qtest",
             "-qtest-log", "none", "-device", json.dumps({"addr": f"{slot:#x}", **device}), *more],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        listener.settimeout(120)
        self.s = listener.accept()[0]
        listener.close()
        self.s.settimeout(120)
        self.f = self.s.makefile("r")

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def line(self, line):
        """The words of the answer; without that line QEMU has ended."""
        self.s.sendall(line.encode() + b"\n")
        while True:
            answer = self.f.readline().split()
            if not answer:
                sys.exit(f"FAIL QEMU ended at '{line[:60]}': {self.said()}")
            if answer[0] != "IRQ":
                assert answer[0] == "OK", (line, answer)
                return answer[1:]

    def ask(self, line):
        answer = self.line(line)
        return int(answer[0], 0) if answer and answer[0].startswith("0x") else None

    def read(self, address, width):
        return self.ask(f"read{ {1: 'b', 2: 'w', 4: 'l', 8: 'q'}[width] } {address:#x}")

    def write(self, address, width, value):
        self.ask(f"write{ {1: 'b', 2: 'w', 4: 'l', 8: 'q'}[width] } {address:#x} {value:#x}")

    def read_bytes(self, address, size):
        return bytes.fromhex(self.line(f"read {address:#x} {size:#x}")[0][2:])

    def write_bytes(self, address, data):
        self.line(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def config(self, at, width=4, value=None):
        self.ask(f"outl {CF8:#x} {0x80000000 | self.slot << 11 | at & 0xFC:#x}")
        verb = {1: "b", 2: "w", 4: "l"}[width]
        port = CFC + at % 4
        if value is None:
            return self.ask(f"in{verb} {port:#x}")
        return self.ask(f"out{verb} {port:#x} {value:#x}")

    def close(self):
        self.s.close()
        self.p.terminate()
        self.p.wait(120)
        self.log.close()
        subprocess.run(["umount", self.root + INSIDE], check=True)
        subprocess.run(["rm", "-f", f"{self.folder}/qtest"], check=True)
