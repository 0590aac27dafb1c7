# SPDX-License-Identifier: MIT
"""A server of files on loopback for tests, good and bad: ranges.py FOLDER LOG PORTFILE.

The first part of a path says how it behaves, the rest is the file:
  /ok/F       ranges and an ETag          /plain/F    no ranges, no ETag
  /nolength/F no ranges, no length        /hop/N/F    N redirects, then /ok/F
  /away/F     redirects to the other name of this host ("localhost")
  /loop/F     redirects to itself         /nowhere/F  redirects to a file:// URL
  /cut/F      promises all, sends half    /stall/F    sends 1000 bytes, then nothing
  /mute/F     accepts and never answers   /shift/F    answers with another range
  /lies/F     a Content-Range of nonsense /change/F   another ETag with every answer
  /more/F     more bytes than it says     /gzip/F     claims to be compressed
  /gated/F    401 without the right token /busy/F     503
  /drop/F     ranges; each answer ends after 300000 bytes
  /told/F     redirects to /ok/F, telling the file's SHA-256 as the hub does; /mistold/F a wrong one
  /huge/F     says that it has 2^50 bytes
  /forget/F   ranges at first, then none  /endless/F  headers without end
  /short/F    at most 1 MiB of a range
ORG/REPO/resolve/REV/F is /gated/F, open/ORG/REPO/... is /ok/F, .../api/... is FOLDER/api.json; the log has a line for each request: path, range, condition, token.
"""
import hashlib
import http.server
import os
import sys
import threading
import time

folder, log, portfile = sys.argv[1:4]
lock = threading.Lock()
counter = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        h = self.headers
        with lock, open(log, "a") as f:
            f.write("%s range=%s match=%s token=%s\n" % (
                self.path, h.get("Range", "-"), h.get("If-None-Match", "-"), h.get("Authorization", "-")))

    def begin(self, status, **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), str(v))
        self.end_headers()

    def empty(self, status, **headers):
        self.begin(status, Content_Length=0, **headers)

    def wanted(self, size):
        first, last = self.headers.get("Range", "bytes=0-").split("=")[1].split("-")
        return int(first), min(int(last) if last else size - 1, size - 1)

    def part(self, data, etag, shift=0, crange=None, extra=b"", most=1 << 40):
        size = len(data)
        first, last = self.wanted(size)
        last = min(last, first + most - 1)
        if first >= size:
            self.empty(416, Content_Range="bytes */%d" % size)
            return
        self.begin(206, Content_Length=last - first + 1, ETag=etag,
                   Content_Range=crange or "bytes %d-%d/%d" % (first + shift, last + shift, size))
        self.wfile.write(data[first:last + 1] + extra)

    def whole(self, data, length=True, **headers):
        if length:
            self.begin(200, Content_Length=len(data), **headers)
        else:
            self.close_connection = True
            self.begin(200, Connection="close", **headers)
        self.wfile.write(data)

    def do_GET(self):
        global counter
        self.note()
        counter += 1
        parts = self.path.split("?")[0].lstrip("/").split("/")
        if "api" in parts:
            name = os.path.join(folder, "api.json")
            how = "plain"
        elif "resolve" in parts:
            at = parts.index("resolve")
            how = "ok" if parts[0] == "open" else "gated"
            name = os.path.join(folder, *parts[at + 2:])
        else:
            how, name = parts[0], os.path.join(folder, *parts[1:])
        try:
            self.serve(how, name, parts)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def serve(self, how, name, parts):
        host = self.headers.get("Host", "")
        if how == "hop":
            n = int(parts[1])
            rest = "/".join(parts[2:])
            self.empty(302, Location="/hop/%d/%s" % (n - 1, rest) if n > 1 else "/ok/" + rest)
            return
        if how == "away":
            self.empty(302, Location="http://localhost:%s/ok/%s" % (host.split(":")[1], "/".join(parts[1:])))
            return
        if how == "loop":
            self.empty(302, Location=self.path)
            return
        if how == "nowhere":
            self.empty(302, Location="file:///etc/passwd")
            return
        if how == "busy":
            self.empty(503)
            return
        if how == "mute":
            time.sleep(30)
            return
        if how == "endless":
            self.send_response(200)
            self.flush_headers()
            for i in range(100000):
                self.wfile.write(b"X-%d: y\r\n" % i)
            return
        if not os.path.isfile(name):
            self.empty(404)
            return
        if how == "gated" and self.headers.get("Authorization") != "Bearer right":
            self.empty(401, X_Error_Code="GatedRepo", X_Error_Message="Access to it is restricted")
            return
        with open(name, "rb") as f:
            data = f.read()
        etag = '"%d-%d"' % (len(data), int(os.stat(name).st_mtime))
        if how in ("told", "mistold"):
            digest = hashlib.sha256(data if how == "told" else b"").hexdigest()
            self.empty(302, Location="/ok/" + "/".join(parts[1:]), X_Linked_Etag='"%s"' % digest)
        elif how == "huge":
            self.part(data, etag, crange="bytes 0-%d/%d" % (self.wanted(len(data))[1], 1 << 50))
        elif how == "drop":
            first, last = self.wanted(len(data))
            self.begin(206, Content_Length=last - first + 1, ETag=etag,
                       Content_Range="bytes %d-%d/%d" % (first, last, len(data)))
            self.wfile.write(data[first:min(last + 1, first + 300000)])
            self.close_connection = True
        elif how in ("ok", "gated"):
            if self.headers.get("If-None-Match") == etag:
                self.empty(304, ETag=etag)
            else:
                self.part(data, etag)
        elif how == "plain":
            self.whole(data)
        elif how == "nolength":
            self.whole(data, length=False)
        elif how == "cut":
            self.begin(200, Content_Length=len(data))
            self.wfile.write(data[:len(data) // 2])
            self.close_connection = True
        elif how == "stall":
            self.begin(200, Content_Length=len(data))
            self.wfile.write(data[:1000])
            self.wfile.flush()
            time.sleep(30)
        elif how == "short":
            self.part(data, etag, most=1 << 20)
        elif how == "shift":
            self.part(data, etag, shift=7)
        elif how == "lies":
            self.part(data, etag, crange="bytes 5-2/1")
        elif how == "change":
            self.part(data, '"%d"' % counter)
        elif how == "more":
            self.begin(206, ETag=etag, Content_Range="bytes 0-99/%d" % len(data), Connection="close")
            self.close_connection = True
            self.wfile.write(data)
        elif how == "gzip":
            self.whole(data, Content_Encoding="gzip")
        elif how == "forget":
            if self.wanted(len(data))[0] == 0:
                self.part(data, etag)
            else:
                self.whole(data)
        else:
            self.empty(404)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that has seen enough hangs up


server = Server(("127.0.0.1", 0), Handler)
with open(portfile + ".new", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(portfile + ".new", portfile)
server.serve_forever()
