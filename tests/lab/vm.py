"""Boot one case of the lab in QEMU and print its results: vm.py CASE-FOLDER KERNEL-FOLDER INITRAMFS OUT.

The machine is emulated (TCG) on purpose: it needs no rights and is the same everywhere. One thread does it:
with one for each processor, a guest with four on a busy host with two was seen to starve. Two virtio ports
lead out of the guest. On `berth.ctl` go lines: results (`ok NAME`, `FAIL NAME: why`), which are printed;
`qmp JSON`, which is done and answered by a line of JSON; `bridge NAME WORDS`, which a bridge answers (bridges.py);
`turn`, answered by how often it was asked, for guests that start anew; and `done`, after which the guest waits for a line. `berth.out` carries a tar of the guest's /out, which is unpacked into OUT/files.
The guest's console is OUT/console. LAB_QEMU: the words of another QEMU than the system's.

CASE-FOLDER/vm describes the machine, a line each:

    limit SECONDS       how long the guest may take (900): for one that hangs, so ten times what it takes beside others
    cmdline WORDS       more for the kernel's command line
    acpi FILE.dsl       one more ACPI table, compiled by iasl; seen from the case's folder
    bridge NAME DEVICE OPTION...  serves a file of bar-forward/devices, or CASE/FILE, at OUT/NAME.sock; replay:FILE: a recording
    -OPTION VALUE       an option of QEMU's, as on its command line; OUT in it is our folder
"""
import json
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import time

import bridges
import qmp

# A kernel that stops, or a program of ours that is killed, ends a case badly whatever its script found.
TROUBLE = ("Kernel panic", "BUG: ", "Oops: ", " segfault at ", "general protection", "trap invalid opcode",
           "Out of memory: Killed", "AddressSanitizer")


class Case:
    def __init__(self, folder):
        self.folder = folder
        self.limit, self.cmdline, self.qemu, self.acpi, self.bridges = 900, [], [], [], []
        for line in (folder / "vm").read_text(encoding="utf-8").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            if words[0] == "limit":
                self.limit = int(words[1])
            elif words[0] == "cmdline":
                self.cmdline += words[1:]
            elif words[0] == "acpi":
                self.acpi += words[1:]
            elif words[0] == "bridge":
                self.bridges.append(words[1:])
            elif words[0].startswith("-"):
                self.qemu += words
            else:
                sys.exit(f"{folder}/vm: what is '{words[0]}'?")


def case_archive(case, out):
    """A cpio archive of the case's own files, to stand behind the common one."""
    root = out / "root"
    shutil.copytree(case.folder, root / "case")
    names = "".join(f"{p.relative_to(root)}\n" for p in sorted(root.rglob("*")))
    return subprocess.run(["cpio", "-o", "-H", "newc", "-R", "+0:+0", "--quiet"], input=names.encode(),
                          cwd=root, stdout=subprocess.PIPE, check=True).stdout


def acpi_table(case, name, out):
    source = case.folder / name
    table = out / source.with_suffix(".aml").name
    done = subprocess.run(["iasl", "-p", str(table.with_suffix("")), str(source)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode or not table.exists():
        sys.exit(f"iasl: {done.stdout.decode(errors='replace')}")
    return ["-acpitable", f"file={table}"]


def command(case, kernel, initramfs, out, fds):
    with open(out / "initramfs", "wb") as f:
        f.write(pathlib.Path(initramfs).read_bytes())
        f.write(case_archive(case, out))
    words = ["console=ttyS0", "panic=-1", "quiet", *case.cmdline]
    line = [*shlex.split(os.environ.get("LAB_QEMU", "qemu-system-x86_64")), "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
            "-no-reboot", "-accel", "tcg,thread=single", "-cpu", "max", "-m", "512",
            "-kernel", f"{kernel}/vmlinuz", "-initrd", str(out / "initramfs"), "-append", " ".join(words),
            "-serial", f"file:{out}/console",
            "-chardev", f"socket,id=qmp,fd={fds['qmp']}", "-mon", "chardev=qmp,mode=control",
            "-chardev", f"socket,id=ctl,fd={fds['ctl']}", "-chardev", f"file,id=out,path={out}/out.tar"]
    line += [word.replace("OUT", str(out)) for word in case.qemu]
    line += ["-device", "virtio-serial-pci,id=lab,bus=pcie.0,addr=1e", "-device", "virtserialport,chardev=ctl,name=berth.ctl",
             "-device", "virtserialport,chardev=out,name=berth.out"]
    for name in case.acpi:
        line += acpi_table(case, name, out)
    return line


def fail(name, why):
    print(f"FAIL {name}: {why}", flush=True)


class Guest:
    """A running machine and the two lines to it."""

    def __init__(self, case, kernel, initramfs, out, served):
        qmp_ours, qmp_theirs = socket.socketpair()
        ctl_ours, ctl_theirs = socket.socketpair()
        fds = {"qmp": qmp_theirs.fileno(), "ctl": ctl_theirs.fileno()}
        self.log = out / "qemu.log"
        self.deadline = time.monotonic() + case.limit
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command(case, kernel, initramfs, out, fds), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, pass_fds=tuple(fds.values()))
        qmp_theirs.close()
        ctl_theirs.close()
        self.ctl = ctl_ours
        self.served = served
        self.done = False
        self.turns = 0
        self.last = "nothing"  # that it said
        self.qmp = None
        try:
            self.qmp = qmp.Monitor(qmp_ours, self.deadline)
        except OSError:
            pass  # QEMU has ended: its log says why

    def lines(self):
        """What the guest says, until it is switched off or out of time."""
        pending = b""
        while time.monotonic() < self.deadline:
            self.ctl.settimeout(max(0.1, self.deadline - time.monotonic()))
            try:
                data = self.ctl.recv(4096)
            except OSError:
                return
            if not data:
                return
            *whole, pending = (pending + data).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")

    def answer(self, text):
        self.ctl.sendall(text.encode() + b"\n")

    def request(self, text):
        try:
            ask = json.loads(text.replace("OUT", str(self.log.parent)))
            return json.dumps(self.qmp.execute(ask["execute"], ask.get("arguments", {})))
        except (ValueError, KeyError, OSError) as e:
            return json.dumps({"error": str(e)})

    def bridge(self, text):
        try:
            name, *words = text.split()
            return self.served[name].ask(words)
        except (ValueError, KeyError, IndexError, StopIteration, OSError, subprocess.SubprocessError) as e:
            return f"error: {e!r}"

    def serve(self):
        for line in self.lines():
            word, _, rest = line.partition(" ")
            self.last = line
            if word == "qmp":
                self.answer(self.request(rest))
            elif word == "turn":
                self.turns += 1
                self.answer(str(self.turns))
            elif word == "bridge":
                self.answer(self.bridge(rest))
            elif word == "done":
                self.done = True
                self.answer("bye")
            elif word in ("ok", "FAIL"):
                print(line, flush=True)
            else:
                fail("the guest's results", f"'{line}' is none")

    def switch_off(self):
        """The guest does it itself; one that is in trouble gets no time for it."""
        try:
            self.process.wait(timeout=max(1, self.deadline - time.monotonic()) if self.done else 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def unpack(out):
    files = out / "files"
    files.mkdir()
    subprocess.run(["tar", "-C", str(files), "-mxf", str(out / "out.tar")], check=True)


def trouble(console):
    return next((line for line in console.splitlines() if any(t in line for t in TROUBLE)), None)


def main():
    case = Case(pathlib.Path(sys.argv[1]))
    kernel, initramfs, out = sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4]).absolute()
    os.makedirs(out)
    served = {name: bridges.Bridge(case.folder, out, name, *words) for name, *words in case.bridges}
    guest = None
    try:
        for b in served.values():
            b.start()
        guest = Guest(case, kernel, initramfs, out, served)
        guest.serve()
        guest.switch_off()
    finally:
        if guest:
            guest.process.kill()
        ends = {name: b.end() for name, b in served.items()}
    for name, why in ends.items():
        print(f"FAIL the bridge {name} ends well: {why}" if why else f"ok the bridge {name} ends well")
    console = (out / "console").read_text(errors="replace") if (out / "console").exists() else ""
    if not guest.done:
        late = time.monotonic() >= guest.deadline
        fail("the guest comes to its end", (f"not in {case.limit} s" if late else "it was switched off early")
             + f" after '{guest.last}'; the last of its console, and QEMU's messages, follow")
        print("\n".join(console.splitlines()[-25:]))
        print(guest.log.read_text(errors="replace")[-2000:])
    else:
        unpack(out)
    if trouble(console):
        fail("the guest's kernel is well", trouble(console))


main()
