#!/bin/sh
# Prints a folder that holds udevadm, which is the udev daemon, too, by another name: guests apply berth's rules with it.
set -eu
first=udev
. tests/lab/deb.sh

closure() {
	echo "$1"
}

arrange() {
	udevadm=$(find "$tmp/all" -name udevadm -type f | grep '/bin/udevadm$') || die "$first holds no udevadm"
	mkdir "$tmp/out"
	mv "$udevadm" "$tmp/out/udevadm"
}

unpacked
