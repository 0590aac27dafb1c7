"""Send a uevent N times as the kernel would: uevent.py N ACTION DEVPATH KEY=VALUE...

The kernel passes on, as its own, what a process with CAP_SYS_ADMIN over a network name space sends to its
uevent socket there (since 4.18): so this reaches only listeners of a name space of our own.
"""
import socket
import struct
import sys

NETLINK_KOBJECT_UEVENT, NLMSG_MIN_TYPE, NLM_F_REQUEST = 15, 16, 1
n, action, path, *pairs = sys.argv[1:]
pairs = [f"ACTION={action}", f"DEVPATH={path}", *pairs]
body = b"".join(s.encode() + b"\0" for s in [f"{action}@{path}", *pairs])
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as s:
    s.bind((0, 0))
    for _ in range(int(n)):
        s.sendto(struct.pack("=IHHII", 16 + len(body), NLMSG_MIN_TYPE, NLM_F_REQUEST, 0, 0) + body, (0, 0))
