#!/bin/sh
# SPDX-License-Identifier: MIT
# Pages that a bridge lets QEMU map, and a lost device that its guest has to let go of: host.sh OUT. The guest's part of an
# unplug is one port write.
exec sh tests/lab/qtest.sh "$1" tests/lab/cases/bridge-map/maps.py
