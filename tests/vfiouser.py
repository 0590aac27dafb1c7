# SPDX-License-Identifier: MIT
"""A vfio-user client, from the specification (QEMU's docs/interop/vfio-user.rst): for tests of `berth bridge`."""
import array
import json
import os
import socket
import struct

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, REGION_INFO, REGION_IO_FDS, IRQ_INFO, SET_IRQS = range(1, 9)
REGION_READ, REGION_WRITE, DMA_READ, DMA_WRITE, RESET = range(9, 14)
WRITE_MULTI, FEATURE = 15, 16
REPLY, NO_REPLY, ERROR = 1, 0x10, 0x20
BAR0, BAR2, ROM, CONFIG, VGA = 0, 2, 6, 7, 8
INTX, MSI, MSIX, ERR, REQ = range(5)
HEADER = struct.Struct("=HHIII")


class Refused(Exception):
    """The server's answer is an error."""

    def __init__(self, errno):
        super().__init__(f"errno {errno}")
        self.errno = errno


class Gone(Exception):
    """The server has hung up."""


class Client:
    def __init__(self, path, hello=True, timeout=120):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(timeout)
        self.s.connect(path)
        self.id = 0
        self.fds = []  # that came with messages
        self.memory = {}  # what the server may reach by message: address -> bytearray
        self.capabilities = None
        self.answers = None  # counts them, for who wants to know
        if hello:
            self.hello()

    def close(self):
        self.drop_fds()
        self.s.close()

    # --- messages ---
    def send_bytes(self, data, fds=()):
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self.s.sendmsg([data], ancillary)
            data = data[sent:]
        self.s.sendall(data)

    def message(self, command, payload=b"", flags=0):
        self.id = (self.id + 1) & 0xFFFF
        return HEADER.pack(self.id, command, HEADER.size + len(payload), flags, 0) + payload

    def take(self, n):
        got = b""
        while len(got) < n:
            try:
                more, fds, _, _ = socket.recv_fds(self.s, n - len(got), 4)
                self.fds += fds
            except ConnectionError:
                more = b""
            if not more:
                raise Gone
            got += more
        return got

    def take_message(self):
        ident, command, size, flags, error = HEADER.unpack(self.take(HEADER.size))
        return ident, command, flags, error, self.take(size - HEADER.size)

    def serve(self, ident, command, payload):
        """A command of the server's: DMA in our memory."""
        address, count = struct.unpack_from("=QQ", payload)
        for base, memory in self.memory.items():
            if base <= address and address + count <= base + len(memory):
                at = address - base
                if command == DMA_READ:
                    reply = payload[:16] + bytes(memory[at : at + count])
                else:
                    memory[at : at + count] = payload[16 : 16 + count]
                    reply = payload[:16]
                self.s.sendall(HEADER.pack(ident, command, HEADER.size + len(reply), REPLY, 0) + reply)
                return
        self.s.sendall(HEADER.pack(ident, command, HEADER.size, REPLY | ERROR, 14))

    def reply(self, ident, command):
        while True:
            got, what, flags, error, payload = self.take_message()
            if not flags & 0xF:
                self.serve(got, what, payload)
                continue
            assert (got, what) == (ident, command), (got, what, ident, command)
            if self.answers:
                self.answers.one_more()
            if flags & ERROR:
                raise Refused(error)
            return payload

    def ask(self, command, payload=b"", fds=()):
        self.send_bytes(self.message(command, payload), fds)
        return self.reply(self.id, command)

    def tell(self, command, payload=b""):
        self.send_bytes(self.message(command, payload, NO_REPLY))

    # --- commands ---
    def hello(self, major=0, minor=0, capabilities=None):
        capabilities = {"max_msg_fds": 8, "max_data_xfer_size": 1 << 20, "pgsizes": 4096,
                        "max_dma_maps": 65535, "write_multiple": True} if capabilities is None else capabilities
        body = json.dumps({"capabilities": capabilities}).encode() + b"\0"
        got = self.ask(VERSION, struct.pack("=HH", major, minor) + body)
        assert len(got) <= 4 + len(body), "a reply larger than its request"
        self.capabilities = json.loads(got[4:].rstrip(b"\0") or b"{}").get("capabilities", {})

    def info(self):
        return struct.unpack("=IIII", self.ask(GET_INFO, struct.pack("=IIII", 16, 0, 0, 0)))[1:]

    def region(self, index):
        """size, flags"""
        got = self.ask(REGION_INFO, struct.pack("=IIIIQQ", 32, 0, index, 0, 0, 0))
        _, flags, back, _, size, _ = struct.unpack_from("=IIIIQQ", got)
        assert back == index
        self.drop_fds()
        return size, flags

    def drop_fds(self):
        while self.fds:
            os.close(self.fds.pop())

    def map_region(self, index):
        """What may be mapped of it: (offset, size) pairs, and the region as a view by its descriptor; None: nothing."""
        import mmap

        got = self.ask(REGION_INFO, struct.pack("=IIIIQQ", 32 + 16 + 64 * 16, 0, index, 0, 0, 0))
        _, flags, _, cap, size, offset = struct.unpack_from("=IIIIQQ", got)
        fds, self.fds = self.fds, []
        assert len(fds) == (flags >> 2 & 1), (flags, fds)
        if not fds:
            return None
        areas = [(0, size)]
        if flags & 8:
            kind, version, after, n, _ = struct.unpack_from("=HHIII", got, cap)
            assert (kind, version, after) == (1, 1, 0)
            areas = [struct.unpack_from("=QQ", got, cap + 16 + 16 * i) for i in range(n)]
        view = mmap.mmap(fds[0], size, offset=offset)
        os.close(fds[0])
        return areas, view

    def irq(self, index):
        return struct.unpack("=IIII", self.ask(IRQ_INFO, struct.pack("=IIII", 16, 0, index, 0)))[3]

    def read_bytes(self, region, offset, count):
        got = self.ask(REGION_READ, struct.pack("=QII", offset, region, count))
        assert struct.unpack_from("=QII", got) == (offset, region, count)
        return got[16:]

    def read(self, region, offset, width):
        return int.from_bytes(self.read_bytes(region, offset, width), "little")

    def write(self, region, offset, width, value, posted=False):
        payload = struct.pack("=QII", offset, region, width) + value.to_bytes(width, "little")
        if posted:
            self.tell(REGION_WRITE, payload)
        else:
            got = self.ask(REGION_WRITE, payload)
            assert got == payload[:16], got

    def multi(self, writes, posted=False):
        """writes: (region, offset, width, value)"""
        payload = struct.pack("=Q", len(writes))
        for region, offset, width, value in writes:
            payload += struct.pack("=QII", offset, region, width) + value.to_bytes(8, "little")
        if posted:
            self.tell(WRITE_MULTI, payload)
            return None
        return struct.unpack("=Q", self.ask(WRITE_MULTI, payload))[0]

    def map(self, iova, size, fd=None, offset=0, flags=3):
        self.ask(DMA_MAP, struct.pack("=IIQQQ", 32, flags, offset, iova, size), () if fd is None else (fd,))

    def unmap(self, iova, size, everything=False):
        got = self.ask(DMA_UNMAP, struct.pack("=IIQQ", 24, 2 if everything else 0, iova, size))
        assert len(got) == 24, got

    def irqs(self, index, start, fds):
        """No fds: the index goes down."""
        flags = 0x24 if fds else 0x21
        self.ask(SET_IRQS, struct.pack("=IIIII", 20, flags, index, start, len(fds)), fds)

    def reset(self):
        self.ask(RESET)


def memory(size):
    """A descriptor of so much memory, and a view of it."""
    import mmap

    fd = os.memfd_create("guest")
    os.ftruncate(fd, size)
    return fd, mmap.mmap(fd, size)
