#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A llama-server for tests: writes its argv to $FAKE_ARGV, a log as version 0.7.0 writes it, and answers at its
socket. $FAKE_MODE: good; elsewhere (a layer on another device); oom; exit; prefixless; crash (at POST /crash)."""
import json
import os
import socketserver
import sys
import threading
import time

mode = os.environ.get("FAKE_MODE", "good")
argv = sys.argv[1:]
option = dict(zip(argv, argv[1:]))
with open(os.environ["FAKE_ARGV"], "w") as f:
    json.dump(argv, f)
layers = int(os.environ.get("FAKE_LAYERS", "9"))
devices = [] if option["--device"] == "none" else option["--device"].split(",")
split = [int(x) for x in option.get("--tensor-split", "1").split(",")]


def say(level, text):
    sys.stderr.write(text + "\n" if mode == "prefixless" else "0.00.012.340 %s %s\n" % (level, text))
    sys.stderr.flush()


for i, name in enumerate(devices):
    say("I", "llama_prepare_model_devices: using device %s (Some card (R)) (0000:0%d:00.0) - 8000 MiB free" % (name, i + 1))
say("I", "llama_model_loader: - kv 0: general.name str = x: using device CUDA9 (y) (0000:aa:00.0) - 1 MiB free")
say("I", "load_tensors: loading model tensors, this can take a while... (load_mode = mmap)")
if mode == "exit":
    say("E", "llama_model_load: error loading model: no such thing")
    sys.exit(1)
if mode == "oom":
    say("E", "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 900.00 MiB on device 0: cudaMalloc failed: out of memory")
    sys.exit(1)
on_gpu = int(option["--n-gpu-layers"]) if devices else 0
homes = [d for d, n in zip(devices, split if len(split) == len(devices) else [on_gpu]) for _ in range(n)]
homes = ["CPU"] * (layers - len(homes[:on_gpu])) + homes[:on_gpu]
if mode == "elsewhere":
    homes[0] = "CUDA7"
for i, name in enumerate(homes):
    say("D", "load_tensors: layer %3d assigned to device %s, is_swa = 0" % (i, name))
say("I", "load_tensors:   CPU_Mapped model buffer size =     9.52 MiB")
say("I", "llama_kv_cache:        CPU KV buffer size =     8.00 MiB")
say("I", "sched_reserve:        CPU compute buffer size =     7.52 MiB")


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode().split()
        length = 0
        while True:
            header = self.rfile.readline().decode().strip().lower()
            if not header:
                break
            if header.startswith("content-length:"):
                length = int(header.split(":")[1])
        body = self.rfile.read(length)
        if line[1] == "/crash":
            os.abort()
        if line[1] == "/health" and time.time() < ready_at:
            self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            return
        if line[1] == "/metrics":
            body = b"".join(b"# TYPE x counter\nllamacpp:%s %s\n" % x for x in (
                (b"prompt_tokens_total", b"120"), (b"prompt_seconds_total", b"0.25"),
                (b"tokens_predicted_total", b"77"), (b"tokens_predicted_seconds_total", b"1.5"),
                (b"requests_deferred", b"3")))
        if line[1] == "/slow":
            time.sleep(1)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


ready_at = time.time() + 0.3
server = Server(option["--host"], Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    time.sleep(1)
    say("D", "que    start_loop: waiting for new tasks")
