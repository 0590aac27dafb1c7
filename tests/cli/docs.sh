#!/bin/sh
# SPDX-License-Identifier: MIT
# The docs name what is there, and the README's transcripts of captured machines are what the programs print.
. tests/lib.sh
python3 tests/docs.py

# shown NAME COMMAND...: what it prints is in the README, moved in by four columns
shown() {
	name=$1
	shift
	run "$BERTH" "$@"
	cat "$T/out" "$T/err" >"$T/all"
	if python3 - "$T/all" <<'END'
import sys
printed = open(sys.argv[1], encoding="utf-8").read()
moved = "".join(f"    {line}" if line.strip() else line for line in printed.splitlines(True))
sys.exit(not printed or moved not in open("README.md", encoding="utf-8").read())
END
	then ok "$name"; else fail "$name" "the README shows something else than: $(head -c 1500 "$T/all")"; fi
}

models=$BUILD/tests/models/headers
shown "a card in a box" probe --device 05:00.0 --machine "$BUILD/tests/doctor/tb-half-rate.fires"
shown "what is wrong with it" doctor --machine "$BUILD/tests/doctor/tb-half-rate.fires"
shown "steps" device unbind 01:00.0 --dry-run --machine "$BUILD/tests/device/desk"
shown "a refusal" device unbind 00:02.0 --machine "$BUILD/tests/device/desk"
shown "a plan for two cards" plan "$models/mistral-small-24b.gguf" -c 65536 --machine tests/machines/nvidia2
shown "a plan for a card that is not here" plan --gpu 'RTX 3090' --ram 64GiB -c 16384 --price-kwh 0.30 "$models/exaone-4-32b.gguf"
finish
