# SPDX-License-Identifier: MIT
"""Servers of every kind: with rules and maps, with a device that goes, with a monitor to tell, with rights to give up:
bridge_servers.py BERTH FOLDER DEVICES. Prints "ok NAME" for each."""
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vfiouser as vu
from bridge_up import TIMEOUT, Bridge, berth, devices, facts, folder, msix, ok, refused
from vfiouser import BAR0, CONFIG, MSIX, Client


def rules():
    path = f"{folder}/rules"
    with open(path, "w") as f:
        f.write("bar0 0x40+8 deny 0\nbar0 0x24+4 mask 0xff\nbar0 0x28+8 log\n")
    with Bridge("gpu.json", "rules.s", "--policy", path, "--guest", "win11", "--mode", "trap") as b:
        c = Client(b.path)
        c.write(BAR0, 0x40, 8, 1)
        assert c.read(BAR0, 0x40, 8) == 0
        c.write(BAR0, 0x24, 4, 0x11223344)
        assert c.read(BAR0, 0x24, 4) == 0x44
        c.write(BAR0, 0x28, 8, 7)
        b.wait_for("write of 8 bytes at 0x28 of BAR0")
        b.wait_for("the rule of line 1 denies a write of 8 bytes at 0x40 of BAR0")
        s = b.status_when(lambda s: s["denied"] == 2 and s["logged"] == 1)
        assert s["guest"] == "win11" and s["mode"] == "trap" and s["backend"] == "memory"
        ok("rules hold")
        with open(path, "w") as f:
            f.write("bar0 0x40+8 zork\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("the rules from before stay in force")
        assert c.read(BAR0, 0x40, 8) == 0
        os.unlink(path)
        os.mkfifo(path)
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("is a pipe, which cannot be read anew; give a file; the rules from before stay in force")
        assert c.read(BAR0, 0x40, 8) == 0
        os.unlink(path)
        with open(path, "w") as f:
            f.write("bar0 0x40+8 deny 0xab\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("1 rules are in force")
        assert c.read(BAR0, 0x40, 8) == 0xABABABABABABABAB
        c.close()
        ok("rules are read anew")


def maps():
    path = f"{folder}/maps"
    with open(path, "w") as f:
        f.write("bar1 0x100000+0x2000 map\nbar3 all map\n")
    with Bridge("gpu.json", "maps.s", "--policy", path, "--bar", "1=64M") as b:
        c = Client(b.path)
        assert c.region(1)[0] == 64 << 20
        assert c.map_region(0) is None
        areas, view = c.map_region(1)
        assert areas == [(0x100000, 0x2000)]
        view[0x100000:0x100008] = b"mapped!!"
        assert c.read_bytes(1, 0x100000, 8) == b"mapped!!"
        c.write(1, 0x100ff8, 8, 0x1122334455667788)
        assert view[0x100ff8:0x101000] == bytes.fromhex("8877665544332211")
        assert c.map_region(3)[0] == [(0x1000, 0x7000), (0x9000, 0x7000)], "never the table of MSI-X"
        s = b.status_when(lambda s: s["mode"] == "hybrid")
        assert [r["mapped_bytes"] for r in s["regions"]][:3] == [0, 0x2000, 0xE000], s["regions"]
        out = subprocess.run([berth, "bridge", "status"], check=True, capture_output=True, text=True).stdout
        assert "  mapped      8.0 KiB of BAR1, 56.0 KiB of BAR3; what is done there is not counted\n" in out, out
        ok("chosen pages are mapped")
        refused(errno.EINVAL, c.read_bytes, 1, 64 << 20, 4)
        c.write(CONFIG, 0x14, 4, 0xFFFFFFFF)
        assert c.read(CONFIG, 0x14, 4) == 0xFC00000C
        c.write(CONFIG, 0x14, 4, 0)
        ok("a BAR is shown smaller")
        with open(path, "w") as f:
            f.write("bar1 0x100000+0x4000 map\nbar3 all map\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("other pages of bar1 would be mapped, and the guest has mapped those it was given; unplug")
        with open(path, "w") as f:
            f.write("bar1 0x100000+0x2000 map\nbar3 all map\nbar0 0x24+4 deny 1\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("3 rules are in force")
        assert c.read(BAR0, 0x24, 4) == 0x01010101
        ok("what is mapped stays, other rules change")
        view.close()
        c.close()
        b.status_when(lambda s: s["client_pid"] is None)
        with open(path, "w") as f:
            f.write("bar0 0x0+0x10 deny\n")
        b.p.send_signal(signal.SIGHUP)
        b.wait_for("1 rules are in force")
        c = b.client()
        assert c.map_region(1)[0] == [(0, 64 << 20)]
        c.close()
        ok("the next guest has the new maps")


def gone():
    with Bridge("gpu.json", "gone.s", "--once", ends=6) as b:
        c = Client(b.path)
        c.info()
        fd, _ = vu.memory(1 << 16)
        c.map(0, 1 << 16, fd)
        c.write(BAR0, 0xFF0, 4, 1)  # the fault register: gone
        assert c.read(BAR0, 0, 8) == (1 << 64) - 1
        assert c.read(CONFIG, 0, 4) == 0xFFFFFFFF
        c.write(BAR0, 0x24, 4, 1)
        c.write(CONFIG, 4, 2, 6)
        c.map(1 << 20, 1 << 16, fd)
        c.unmap(0, 1 << 16)
        c.irqs(MSIX, 0, [os.eventfd(0)])
        c.irqs(MSIX, 0, [])
        refused(errno.ENODEV, c.reset)
        assert b.status_when(lambda s: s["state"] == "LOST")["trouble"]
        assert open(b.log).read().count("is lost") == 1
        c.close()
    ok("a device that goes")
    with Bridge("gpu.json", "back.s") as b:
        c = Client(b.path)
        c.write(BAR0, 0xFF0, 4, 1)
        c.close()
        c = b.client()
        assert c.read(CONFIG, 0, 2) == 0x1234
        assert b.status_when(lambda s: s["client_pid"])["generation"] == 2
        c.close()
    ok("a device that comes back is another")


class Monitor(threading.Thread):
    """QEMU's, with a vfio-user-pci device "gpu0" at that socket; `deleted`: the guest lets go of it."""

    def __init__(self, path, device, deleted):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.device, self.deleted, self.asked = device, deleted, []
        self.start()

    def answer(self, ask):
        path = ask.get("arguments", {}).get("path")
        if path == "/machine/peripheral":
            return [{"name": "gpu0", "type": "child<vfio-user-pci>"}]
        if path == "/machine/peripheral/gpu0":
            coded = self.device.replace("/", "\\x2f")
            return [{"name": f"vfio-user:{coded} base BAR 0[0]", "type": "child<memory-region>"}]
        return [] if path else {}

    def run(self):
        f = self.listener.accept()[0].makefile("rw")

        def tell(o):
            f.write(json.dumps(o) + "\n")
            f.flush()

        tell({"QMP": {"version": {"qemu": {"major": 11, "minor": 1, "micro": 3}}, "capabilities": []}})
        for line in f:
            ask = json.loads(line)
            self.asked.append(ask["execute"])
            tell({"return": self.answer(ask)})
            if ask["execute"] == "device_del":
                tell({"event": "DEVICE_DELETED" if self.deleted else "DEVICE_UNPLUG_GUEST_ERROR",
                      "data": {"path": "/machine/peripheral/gpu0"}})


def unplugs():
    keeps = "the lost device is not unplugged, and reads all-ones in its guest"
    with Bridge("gpu.json", "unplug.s", "--qmp", f"{folder}/qmp") as b:
        for name, monitor, says in (("nobody", None, f"{keeps}: the monitor at {folder}/qmp: No such file"),
                                    ("good", (b.path, True), "the guest has let go of the lost device: /machine/peripheral/gpu0"),
                                    ("refuses", (b.path, False), "the guest refuses to let go"),
                                    ("other", (f"{folder}/zork", True), f"no vfio-user-pci device at {b.path}")):
            m = monitor and Monitor(f"{folder}/qmp", *monitor)
            c = b.client()
            assert c.irq(MSIX) == 0 and msix(c) is None, "it would be QEMU's end"
            c.write(BAR0, 0xFF0, 4, 1)
            assert c.read(BAR0, 0, 4) == 0xFFFFFFFF
            b.wait_for(says)
            assert c.read(BAR0, 0, 4) == 0xFFFFFFFF
            c.close()
            if m:
                assert ("device_del" in m.asked) == (name != "other"), m.asked
                m.listener.close()
                os.unlink(f"{folder}/qmp")
            ok(f"a monitor is asked: {name}")
    with Bridge("gpu.json", "shown.s", "--qmp", f"{folder}/qmp", "--msix", "show") as b:
        m = Monitor(f"{folder}/qmp", b.path, True)
        c = b.client()
        assert c.irq(MSIX) == 9 and msix(c)
        c.write(BAR0, 0xFF0, 4, 1)
        b.wait_for("QEMU 11.1.3 would abort at the unplug")
        assert "device_del" not in m.asked
        c.close()
        ok("nobody is asked to abort")
    os.makedirs(f"{folder}/bin")
    with open(f"{folder}/bin/virsh", "w") as f:
        f.write("""#!/bin/sh
[ "$1 $2 $3 $4" = "-q qemu-monitor-command -- win11" ] || { echo "error: failed to get domain '$4'" >&2; exit 1; }
echo "$5" >>"${0%/*}/asked"
case $5 in
*'"/machine/peripheral"'*) echo '{"return":[{"name":"gpu0","type":"child<vfio-user-pci>"}],"id":"libvirt-1"}' ;;
*qom-list*) echo '{"return":[],"id":"libvirt-2"}' ;;
*) echo '{"return":{},"id":"libvirt-3"}' ;;
esac
""")
    os.chmod(f"{folder}/bin/virsh", 0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}/bin:{path}"
    for domain, says in (("win11", "libvirt has been asked to unplug /machine/peripheral/gpu0"),
                         ("win12", "virsh qemu-monitor-command win12: error: failed to get domain 'win12'")):
        with Bridge("gpu.json", "virsh.s", "--libvirt", domain) as b:
            c = Client(b.path)
            c.write(BAR0, 0xFF0, 4, 1)
            b.wait_for(says)
            c.close()
    os.environ["PATH"] = path
    assert '{"execute":"device_del","arguments":{"id":"gpu0"}}' in open(f"{folder}/bin/asked").read()
    ok("libvirt is asked")
    # The real virsh takes the same words. Its driver for tests has a domain "test", and no QEMU behind it.
    os.environ.update(LIBVIRT_DEFAULT_URI="test:///default", XDG_CACHE_HOME=f"{folder}/home", XDG_CONFIG_HOME=f"{folder}/home")
    for domain, says in (("test", "error: this function is not supported by the connection driver"), ("-x", "error: failed to get domain '-x'")):
        with Bridge("gpu.json", "real.s", "--libvirt", domain) as b:
            c = Client(b.path)
            c.write(BAR0, 0xFF0, 4, 1)
            b.wait_for(f"virsh qemu-monitor-command {domain}: {says}")
            c.close()
    ok("libvirt's own virsh takes what it is told")


def privileges():
    """Who meets a client's bytes has no rights; where root serves it is not root, unless it is told to be."""
    root = os.geteuid() == 0
    for words in ((), ("--user", "root")) if root else ((),):
        with Bridge("gpu.json", "rights.s", *words) as b:
            c = Client(b.path)
            c.write(BAR0, 0xFF0, 4, 1)  # gone: the next one's device is opened anew
            c.close()
            c = b.client()
            own = facts(b.p.pid)["Uid"][1:2]
            fetcher = b.fetcher()
            for pid in [p for some in b.processes().values() for p in some]:
                f = facts(pid)
                assert f["NoNewPrivs"] == ["1"] and (f["Uid"][1:2] == own) == (not root or bool(words)), f
                assert len(set(f["Uid"])) == 1 and len(set(f["Gid"])) == 1, f
                for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    assert int(f[name][0], 16) == 0, (name, f)
                assert not (root and not words) or not f["Groups"], f
            c.reset()
            os.kill(fetcher, signal.SIGKILL)
            while fetcher in b.processes()["fetcher"]:
                time.sleep(0.01)
            c.reset()
            assert b.status()["state"] == "running"
            c.close()
    ok("those that clients talk to have no rights, and one of them can be done without")
    if root:
        with Bridge("edu.json", "owned.s", "--socket-owner", "nobody:0") as b:
            st = os.stat(b.path)
            assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (65534, 0, 0o660), st
        ok("a socket that is another's")


def sockets():
    with Bridge("edu.json", "busy.s") as b:
        again = subprocess.run([berth, "bridge", "serve", f"{devices}/edu.json", "--socket", b.path],
                               capture_output=True, text=True)
        assert again.returncode == 5 and "in use" in again.stderr and again.stderr.count("\n") == 1, again
        assert b.status()["clients"] == 0, "who wanted its place was no client"
        Client(b.path).close()
        ok("a socket that is in use")
        assert os.stat(b.path).st_mode & 0o777 == 0o600
        b.kill()
        dead = b.status()
        assert dead["state"] == "DEAD" and dead["writer_alive"] is False
        ok("a bridge that was killed")
        with Bridge("edu.json", "busy.s") as second:
            Client(second.path).close()
            pages = [f for f in os.listdir(os.environ["BERTH_RUNTIME_DIR"]) if f.endswith(".telem")]
            assert len(pages) == 1, pages
        ok("takes its place over")
        b.ends = -9
    with Bridge("edu.json", "once.s", "--once") as b:
        Client(b.path).close()
        assert b.p.wait(TIMEOUT) == 0
    ok("once")


rules()
maps()
gone()
unplugs()
privileges()
sockets()
