#!/bin/sh
# Descriptions of devices that are shipped: they fit their schema, and lspci reads the config space that comes of them as it
# was meant; and of one that is wrong, one sentence.
. tests/lib.sh
PCIDEVICE=$BUILD/tests/fake/prog_pcidevice

# What lspci says, without what its versions say in words of their own.
reading() {
	sed -e 's/, MSI 00$//; s/, IntMsgNum 0$//' -e 's/ SlotPowerLimit.*//' -e 's/ *<ignored>\| *<unassigned>//' "$1" |
		grep -E '^00|Subsystem|Interrupt: pin|Region|Capabilities:|LnkCap:|BAR [0-9]|Vector table|PBA|FLReset[+-]$'
}

for f in bar-forward/devices/*.json; do
	n=$(basename "$f" .json)
	valid "$n" pcidevice "$f"
	exits "$n is read" 0 "$PCIDEVICE" "$f"
	cp "$T/out" "$T/$n.config"
	exits "lspci reads $n" 0 lspci -F "$T/$n.config" -n -vvv
	reading "$T/out" >"$T/$n.lspci"
	golden "pcidevice-$n.lspci" "$T/$n.lspci"
	# byte for byte: nothing is lost between the two
	exits "lspci writes $n" 0 lspci -F "$T/$n.config" -n -xxxx
	grep '^[0-9a-f]*: ' "$T/out" >"$T/$n.bytes"
	grep '^[0-9a-f]*: ' "$T/$n.config" | cmp -s - "$T/$n.bytes" && ok "$n byte for byte" || fail "$n byte for byte" "differs"
done

sed 's/"memory_bar": 1/"memory_bar": 0/' bar-forward/devices/gpu.json >"$T/bad.json"
exits "a doorbell without memory" 4 "$PCIDEVICE" "$T/bad.json"
one_sentence "it is said in one sentence"
says "which register, and why" "register 20, 'copy': 'memory_bar' is a BAR of memory"
finish
