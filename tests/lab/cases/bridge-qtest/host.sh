#!/bin/sh
# SPDX-License-Identifier: MIT
# berth bridge against QEMU's own client: host.sh OUT. It has a vfio-user-pci device that we serve; clients.py does to it what a
# guest would.
exec sh tests/lab/qtest.sh "$1" tests/lab/cases/bridge-qtest/clients.py
