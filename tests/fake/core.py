#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A core without an engine, for the tests of the supervisor: takes the command line and speaks the control line of
the real one (docs/formats.md), and answers every HTTP request with the number of this start. How each start goes is a
line of $FAKE_CORE, the last one for all that follow: "serve"; "oom"; "device" (is gone); "abort", "ill", "exit" (while
loading); "elsewhere" (places a layer wrongly); "stuck" (never beats, after it went); "asleep" (serves, and its page says
so). $FAKE_DEVICES holds the engine's devices, NAME, NAME@PCI or NAME@PCI@BACKEND@VENDOR. Of the last form it lists what
--backend and the Vulkan loader's choice of drivers leave, and wakes those as drivers do; $FAKE_CORE.lists says how it was
asked."""
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

args = sys.argv[1:]
state = os.environ["FAKE_CORE"]


def value(option):
    return args[args.index(option) + 1]


def device_names():
    try:
        return open(os.environ["FAKE_DEVICES"]).read().split()
    except (KeyError, OSError):
        return []


def is_visible(backend, vendor):
    wanted = [args[i + 1] for i, a in enumerate(args) if a == "--backend"]
    drivers = os.environ.get("VK_LOADER_DRIVERS_SELECT", "")
    return (not wanted or backend in wanted) and (backend != "vulkan" or not drivers or vendor in drivers)


def wake(pci):
    """Every bridge above it, too."""
    path = os.path.realpath(f"/sys/bus/pci/devices/{pci}")
    while "/pci" in path:
        if os.path.exists(f"{path}/power/runtime_status"):
            open(f"{path}/power/runtime_status", "w").write("active\n")
        path = os.path.dirname(path)


def list_devices():
    devices = []
    for word in device_names():
        name, pci, backend, vendor = (word.split("@") + [None] * 3)[:4]
        if backend and not is_visible(backend, vendor):
            continue
        if backend:
            wake(pci)
        size = 8 << 30 if backend else 1 << 30
        devices.append({"name": name, "description": "a fake", "backend": backend or "vulkan", "device_id": pci, "type": "gpu",
                        "total_bytes": size, "free_bytes": size})
    with open(state + ".lists", "a") as f:
        f.write(json.dumps({"argv": args, "env": dict(os.environ)}) + "\n")
    print(json.dumps({"schema": "berth.devices/1", "engine": "fake", "devices": devices}))


def this_start():
    with open(state + ".starts", "a+") as f:
        f.write(".")
        f.flush()
        n = f.tell()
    lines = open(state).read().split()
    return n, lines[min(n, len(lines)) - 1]


def page_create(path):
    """The header alone is the writer's: the supervisor reads no more of it."""
    stat = open("/proc/self/stat").read()
    start = int(stat[stat.rindex(")") + 2:].split()[19])
    boot = bytes.fromhex(open("/proc/sys/kernel/random/boot_id").read().strip().replace("-", ""))
    size = 64 + 408 + 16 * 144 + 64 * 24 + 256 * 4
    header = struct.pack("<QIIIIiIQ16sQ", 0x314d4c5448545242, 2, 1, size, 0, os.getpid(), 0, start, boot,
                         time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    with open(path + ".new", "wb") as f:
        f.write(header + bytes(size - len(header)))
    os.rename(path + ".new", path)
    return mmap.mmap(os.open(path, os.O_RDWR), size)


def beat(page):
    while True:
        page[56:64] = struct.pack("<Q", time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        time.sleep(0.1)


def answer(listener, text):
    listener.setblocking(True)
    while True:
        client, _ = listener.accept()
        try:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(text), text))
        except OSError:
            pass  # it has gone
        client.close()


def placement(plan, how):
    names = []
    for d in plan["devices"]:
        names += [d["engine_name"]] * d["layers"]
    names = ["CPU"] * (plan["host"]["layers"]) + names
    if how == "elsewhere":
        names[0] = "Nowhere0"
    devices = [{"name": d["engine_name"], "pci": d["pci"], "backend": d["backend"], "layers": d["layers"],
                "buffers": d["buffers"]} for d in plan["devices"]]
    devices.append({"name": "CPU", "pci": None, "backend": "cpu", "layers": plan["host"]["layers"],
                    "buffers": plan["host"]["buffers"]})
    for d in devices:
        b = d.pop("buffers")
        d.update({k: b[k] for k in ("weights_bytes", "kv_bytes", "compute_bytes")}, other_bytes=None, rounding_bytes=0)
    return names, devices


def main():
    if "--list-devices" in args:
        list_devices()
        return 0
    control = socket.socket(fileno=int(value("--control-fd")))

    def say(event, **more):
        control.sendall(json.dumps({"schema": "berth.core/1", "event": event, **more}).encode() + b"\n")

    n, how = this_start()
    plan = json.load(open(value("--plan")))
    page = page_create(value("--telemetry"))
    json.dump({"argv": args, "env": dict(os.environ), "plan": plan, "pid": os.getpid()}, open(f"{state}.{n}", "w"))
    print(f"fake engine, start {n}: {how}", file=sys.stderr, flush=True)
    say("loading", engine="fake")
    while os.path.exists(state + ".slow"):  # until the test is done with it, or we are to stop
        if select.select([control], [], [], 0.05)[0]:
            return 0
    if how in ("oom", "device"):
        say("failed", **{"class": how, "sentence": f"the fake failed: {how}"})
        return 8
    if how in ("abort", "ill"):
        os.kill(os.getpid(), signal.SIGABRT if how == "abort" else signal.SIGILL)
    if how == "exit":
        return 3
    names, devices = placement(plan, how)
    say("ready", n_ctx=plan["flags"]["n_ctx"], threads=1, layers=names, devices=devices, buffers=[], unplaced_bytes=0)
    order = control.makefile("r")
    if order.readline() != "go\n":
        return 0
    if how == "asleep":
        page[320:324] = struct.pack("<I", 5)
    if how != "stuck":
        threading.Thread(target=beat, args=[page], daemon=True).start()
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        for i in range(int(os.environ["LISTEN_FDS"])):
            listener = socket.socket(fileno=3 + i)
            threading.Thread(target=answer, args=[listener, b"start %d\n" % n], daemon=True).start()
    if "--serve" in args:
        order.readline()
    say("done", prompt_tokens=0, prompt_ns=0, generated_tokens=0, generated_ns=0, stop="stopped")
    return 0


code = main()
sys.stdout.flush()
os._exit(code)
