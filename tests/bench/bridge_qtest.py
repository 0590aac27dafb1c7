# SPDX-License-Identifier: MIT
"""A read of a register as QEMU's test port does it: of a served device, and of QEMU's own edu. bridge_qtest.py FOLDER SOCKET
ROUNDS prints the median nanoseconds of either. LAB_QEMU: the words of a QEMU that speaks vfio-user."""
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import time

folder, served, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
BATCH = 100
SLOTS = {"vfio-user-pci": (4, 0xE0000000), "edu": (5, 0xE2000000)}
at = f"{folder}/qtest"
listener = socket.socket(socket.AF_UNIX)
listener.bind(at)
listener.listen(1)
listener.settimeout(120)
device = {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": served}, "addr": "4", "x-msg-timeout": 60000}
qemu = subprocess.Popen([*shlex.split(os.environ["LAB_QEMU"]), "-display", "none", "-nodefaults", "-machine", "pc,memory-backend=m",
                         "-object", "memory-backend-memfd,id=m,size=64M,share=on", "-accel", "qtest", "-qtest", f"unix:{at}",
                         "-device", json.dumps(device), "-device", "edu,addr=5"],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    port = listener.accept()[0]
    answers = port.makefile("rb")

    def ask(line):
        port.sendall(line.encode() + b"\n")
        while True:
            answer = answers.readline().split()
            if not answer:
                sys.exit("QEMU has ended")
            if answer[0] == b"OK":
                return answer

    for slot, bar in SLOTS.values():
        for register, value in ((0x10, bar), (4, 6)):
            ask(f"outl 0xcf8 {0x80000000 | slot << 11 | register:#x}")
            ask(f"outl 0xcfc {value:#x}")
    took = {name: [] for name in SLOTS}
    assert int(ask(f"readl {SLOTS['vfio-user-pci'][1]:#x}")[1], 0) == 0xBE471234
    assert int(ask(f"readl {SLOTS['edu'][1]:#x}")[1], 0) == 0x010000ED
    for _ in range(rounds):
        for name, (_, bar) in SLOTS.items():
            for _ in range(BATCH):
                began = time.perf_counter_ns()
                ask(f"readl {bar:#x}")
                took[name].append(time.perf_counter_ns() - began)
    print(*(int(statistics.median(took[name])) for name in SLOTS))
finally:
    qemu.kill()
