#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest's boot is recorded, and another one of the same; they align. A third has the first recording for a card: host.sh OUT.
set -eu
out=$1
. tests/lab/needs.sh
needs_headers
needs_vm_of_it

# boot NAME CARD OPTION...: its recording is $out/NAME/film
boot() {
	name=$1
	shift
	mkdir -p "$out/$name"
	cp -R tests/lab/cases/bridge-replay/machine "$out/$name/machine"
	cp tests/lab/driver/card.sh "$out/$name/machine/"
	echo "bridge gpu $* --record $out/$name/film --record-size 64M" >>"$out/$name/machine/vm"
	[ "$name" = first ] || ln -s "$out/first/initramfs" "$out/$name/initramfs"
	sh tests/lab/served.sh "$kernel" "$headers/build" "$out/$name/machine" "$out/$name" | sed "s/^\(ok\|FAIL\) /\1 $name: /"
}

# aligns NAME OTHER: the boots are the same, but for where the guest's memory lies (the card is told addresses), how often a driver that
# has waited for long looks whether the card is there, and when interrupts are taken beside what else goes on
aligns() {
	if "$BERTH" bridge diff "$out/first/film" "$out/$2/film" --kind read --kind write --except bar0:0x1000+16 --except bar0:0x0+4 \
		>"$out/diff" 2>&1; then
		echo "ok $1"
	else
		echo "FAIL $1: $(head -c 1500 "$out/diff")"
	fi
}

# says NAME PATTERN
says() {
	if grep -q -e "$2" "$out/replayed/vm/gpu.log"; then
		echo "ok $1"
	else
		echo "FAIL $1: $(tail -n 5 "$out/replayed/vm/gpu.log")"
	fi
}

boot first gpu.json --mode trap --record-interrupts
boot second gpu.json --mode trap --record-interrupts
boot replayed "replay:$out/first/film"
aligns "two boots of one system align" second
says "a guest without the card goes the recorded way, to its end" 'the guest stayed on the recorded path, to its end'
says "it asks nothing that was not recorded" 'reads (0 that the recording does not know), [0-9]* writes (0 not known'
aligns "what it got is what was recorded" replayed
