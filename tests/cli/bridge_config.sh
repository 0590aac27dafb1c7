#!/bin/sh
# SPDX-License-Identifier: MIT
# What a guest sees of a card's configuration space, as lspci reads it; and that the ways around it, which some cards have in
# their BARs, end there, too (tests/bridge_config.py).
. tests/lib.sh
[ -x "$BUILD/libexec/berth/bridge" ] || skip "bridge is not built"
command -v lspci >/dev/null || PATH=$PATH:/usr/sbin:/sbin
export BERTH_RUNTIME_DIR="$T/run"

# What lspci says, without what its versions say in words of their own.
reading() {
	sed -e 's/, MSI 00$//; s/, IntMsgNum 0$//' -e 's/ SlotPowerLimit.*//' -e 's/ (prog-if.*//' -e 's/ *<ignored>\| *<unassigned>//' "$1" |
		grep -E '^00|Subsystem|Interrupt: pin|Region|Expansion|Capabilities:|BAR [0-9]|Vector table|PBA|FLReset[+-]$'
}

# up: the bridge waits for a client, or has ended
up() {
	grep -q 'waits for a client' "$T/log" || ! kill -0 $pid 2>/dev/null
}
# sees CARD FILE KIND OPTIONS...
sees() {
	card=$1 file=$2 kind=$3
	shift 3
	: >"$T/log"
	"$BERTH" bridge serve "$file" --socket "$T/s" --once "$@" 2>>"$T/log" &
	pid=$!
	wait_for up
	# shellcheck disable=SC2086 # none is none
	exits "$card" 0 python3 tests/bridge_config.py "$T/s" "$T/$card.config" $kind
	sed "s/^ok /ok $card: /" "$T/out" | grep '^ok '
	wait $pid && ok "$card: the bridge ends" || fail "$card: the bridge ends" "$(cat "$T/log")"
	exits "$card: lspci" 0 lspci -F "$T/$card.config" -n -vvv
	{
		reading "$T/out"
		lspci -F "$T/$card.config" -n -xxxx | grep '^[0-9a-f]*: ' | grep -v '^[0-9a-f]*:\( 00\)*$'
	} >"$T/$card.lspci"
	golden "bridge-config-$card.txt" "$T/$card.lspci"
}

sees gpu bar-forward/devices/gpu.json ""
sees gpu-small bar-forward/devices/gpu.json "" --bar 1=64M --msix hide
sees nvidia tests/devices/nvidia-like.json nvidia
sees nvidia-mapped tests/devices/nvidia-like.json nvidia --mode map --order --bar 3=16M
sees amd tests/devices/amd-like.json amd --mode trap
finish
