#!/bin/sh
# SPDX-License-Identifier: MIT
# What the monitor draws: golden screens over size, TERM, locale, colour and number of devices, of a made-up
# minute that is the same each time (tests/screen/stage.c). One file of screens a subject.
. tests/lib.sh
term=$BUILD/tests/screen/term
stage=$BUILD/tests/screen/stage
export XDG_CONFIG_HOME="$T/config"
failed=0

# shot FILE SIZE SCENE DEVICES [KEYS...]: the screen after the minute and the keys, into FILE; with LOOK=1 how
# it looks too
shot() {
	file=$T/$1 size=$2 scene=$3 n=$4
	shift 4
	k=0
	{
		echo "title done 0"
		for key in "$@"; do
			k=$((k + 1))
			echo "keys $key"
			echo "title done $k"
		done
		if [ -n "${LOOK:-}" ]; then echo "look $T/shot"; else echo "dump $T/shot"; fi
	} >"$T/script"
	echo "=== $size ${scene##*/} $n  TERM=$TERM ${LC_ALL}${NO_COLOR:+ NO_COLOR}${STAGE_THEME:+ $STAGE_THEME}${STAGE_AT:+ at $STAGE_AT} $*" >>"$file"
	if "$term" "$size" "$T/script" "$stage" "$scene" "$n" >"$T/log" 2>&1; then
		# ends of lines are seen
		sed 's/$/|/; /^~/s/|$//' "$T/shot" >>"$file"
	else
		failed=1
		cat "$T/log" >>"$file"
	fi
}

export TERM=xterm-256color LC_ALL=C.UTF-8
for size in 20x5 40x10 60x14 80x24 120x36 160x50; do
	for n in 0 1 2 8 16; do
		shot screen-sizes.txt $size calm $n
	done
done
shot screen-sizes.txt 300x90 calm 16
shot screen-sizes.txt 1x1 calm 2
shot screen-sizes.txt 2x2 calm 2
golden screen-sizes.txt "$T/screen-sizes.txt"

for size in 20x5 40x10 80x24 120x36 160x50; do
	shot screen-trouble.txt $size trouble 8
done
shot screen-trouble.txt 80x24 trouble 16
golden screen-trouble.txt "$T/screen-trouble.txt"

for TERM in vt100 linux xterm xterm-256color tmux-256color; do
	for LC_ALL in C C.UTF-8; do
		LOOK=1 shot screen-terms.txt 80x24 trouble 5
		NO_COLOR=1 LOOK=1 shot screen-terms.txt 80x24 names 2
	done
done
for TERM in vt100 linux tmux-256color; do
	for n in 0 1 16; do
		LC_ALL=C shot screen-terms.txt 80x24 calm $n
	done
done
golden screen-terms.txt "$T/screen-terms.txt"
if sed -n '/NO_COLOR/,/^===/p' "$T/screen-terms.txt" | grep '^~' | grep -q 'fg[0-9#]\|bg[0-9#]'; then
	fail "NO_COLOR" "has colours"
else
	ok "NO_COLOR: no colours"
fi
if sed -n '/TERM=[^ ]* C[ $]/,/^===/p' "$T/screen-terms.txt" | grep -v '^===' | tr -d '\n -~' | grep -q .; then
	fail "the C locale is ASCII" "it is not"
else
	ok "the C locale is ASCII"
fi

TERM=xterm-256color LC_ALL=C.UTF-8
for STAGE_THEME in safe dark light mono; do
	export STAGE_THEME
	LOOK=1 shot screen-themes.txt 60x14 trouble 5
done
unset STAGE_THEME
golden screen-themes.txt "$T/screen-themes.txt"

for size in 80x24 120x36; do
	shot screen-pages.txt $size calm 3 '\r'
	shot screen-pages.txt $size calm 3 2 '\r'
	shot screen-pages.txt $size trouble 5 e
	shot screen-pages.txt $size trouble 5 5 '\r'
	shot screen-pages.txt $size calm 3 '?'
done
shot screen-pages.txt 40x10 calm 3 '?' '<Down>' '<PgDn>'
shot screen-pages.txt 80x24 trouble 5 1 '<Down>' '<Down>' '<Down>' '\r'
shot screen-pages.txt 80x24 trouble 3 2 '<Down>' '<Down>' '\r'
golden screen-pages.txt "$T/screen-pages.txt"

for size in 20x5 40x10 60x14 80x24 120x36 160x50; do
	shot screen-bridge.txt $size bridge 2
	shot screen-bridge.txt $size pulled 2
done
for size in 60x14 80x24 120x36; do
	shot screen-bridge.txt $size bridge 2 3 '\r'
	shot screen-bridge.txt $size pulled 2 3 '<Down>' '<Down>' '\r'
done
LC_ALL=C LOOK=1 shot screen-bridge.txt 80x24 pulled 2
shot screen-bridge.txt 80x24 bridge 8 3
shot screen-bridge.txt 80x24 pulled 2 / 0 6 : '\r'
golden screen-bridge.txt "$T/screen-bridge.txt"

LOOK=1 shot screen-keys.txt 80x24 calm 16 '<Down>' '<Down>' '<End>'
LOOK=1 shot screen-keys.txt 80x24 calm 16 '<PgDn>' '<PgDn>'
shot screen-keys.txt 80x24 calm 8 / a r c '\r'
shot screen-keys.txt 80x24 calm 8 / z '\x7f' x '\e'
shot screen-keys.txt 80x24 calm 8 s s s
shot screen-keys.txt 80x24 calm 8 s s
shot screen-keys.txt 80x24 calm 3 u d
shot screen-keys.txt 120x36 calm 3 c
shot screen-keys.txt 120x36 calm 3 c c
shot screen-keys.txt 80x24 calm 3 P E
shot screen-keys.txt 80x24 calm 8 2 x
shot screen-keys.txt 80x24 calm 8 1 '[' '[' '[' x 1
shot screen-keys.txt 80x24 calm 16 2 ']' 1 '[' '[' '['
shot screen-keys.txt 80x24 calm 8 2 x 1 '[' X
shot screen-keys.txt 80x24 names 4 / '\xe6\x96\x87' '\xe6\xa8\xa1' '\r'
shot screen-keys.txt 80x24 names 4 / '\xe6\x96\x87' '\xe6\xa8\xa1' '\x7f' '\x7f'
shot screen-keys.txt 80x24 calm 3 K
shot screen-keys.txt 80x24 calm 3 2 K
shot screen-keys.txt 80x24 calm 3 2 K n
shot screen-keys.txt 80x24 calm 3 4 K
shot screen-keys.txt 80x24 calm 3 '\t' '\t' '<BackTab>'
shot screen-keys.txt 80x24 calm 3 R
shot screen-keys.txt 80x24 calm 3 '<'
golden screen-keys.txt "$T/screen-keys.txt"

# a recording of a device that is pulled, played and wound; the demo, which is a recording set in motion
export TZ=UTC
for size in 40x10 80x24 120x36; do
	shot screen-replay.txt $size "replay=$T/pulled.berthrec" 2
	shot screen-replay.txt $size "demo=tui/demo.berthrec" 0
done
shot screen-replay.txt 80x24 "replay=$T/pulled.berthrec" 2 '<' '<'
shot screen-replay.txt 80x24 "replay=$T/pulled.berthrec" 2 '<' '<' '<' '<' '<' '<' '<' '>'
shot screen-replay.txt 80x24 "replay=$T/pulled.berthrec" 2 '<' '<' 3 '\r'
shot screen-replay.txt 80x24 "replay=$T/pulled.berthrec" 2 e
# begun in its middle: the curves have what came before, though nothing was played
STAGE_AT=35 shot screen-replay.txt 120x36 "replay=$T/pulled.berthrec" 2
STAGE_AT=-30 shot screen-replay.txt 80x24 "replay=$T/pulled.berthrec" 2 3 '\r'
shot screen-replay.txt 80x24 "demo=tui/demo.berthrec" 0 '\r'
shot screen-replay.txt 80x24 "demo=tui/demo.berthrec" 0 2 '\r'
shot screen-replay.txt 120x36 "demo=tui/demo.berthrec" 0 3 '\r'
golden screen-replay.txt "$T/screen-replay.txt"
# the same by the monitor itself: its first picture, whose last row is its keys, has the run's curve of half a minute
printf '%s\n' 'wait q quit' "dump $T/shot" 'keys q' 'exit 0' >"$T/script"
if "$term" 120x36 "$T/script" "$BERTH" top --replay "$T/pulled.berthrec" --at 0:35 >"$T/log" 2>&1 &&
	grep 'chat-55b' "$T/shot" | tr -cd '\342' | tr '\342' x | grep -q 'x\{10\}'; then
	ok "--at: the curves begin with what came before"
else
	fail "--at: the curves begin with what came before" "$(cat "$T/log" "$T/shot")"
fi

for m in none three asleep nvidia2; do
	shot screen-machines.txt 80x24 "machine=tests/machines/$m" 0
done
for m in eight-gpus twosocket who holders; do
	shot screen-machines.txt 120x36 "machine=$BUILD/tests/machines/$m" 0
done
golden screen-machines.txt "$T/screen-machines.txt"

# the mouse: a click puts the cursor there, a second one opens, the wheel moves it
mouse() {
	printf '%s\n' "$@" >"$T/script"
	if "$term" 80x24 "$T/script" "$stage" calm 3 >"$T/log" 2>&1; then ok "mouse: $name"; else fail "mouse: $name" "$(cat "$T/log")"; fi
}
name="a click" mouse 'title done 0' 'click 4 3' 'title done 1' "cursor $T/cursor"
if [ "$(cat "$T/cursor")" = "0 3" ]; then ok "the cursor follows the click"; else fail "the cursor follows the click" "$(cat "$T/cursor")"; fi
name="the second opens" mouse 'title done 0' 'click 4 3' 'title done 1' 'click 4 3' 'wait held back by'
name="a click leaves a page" mouse 'title done 0' 'keys ?' 'wait Show or hide this page' 'click 4 3' 'gone Show or hide this page'
# The pauses only make it likely that its bytes are read one by one
wen=$(printf '\346\226\207')
name="a character that comes in pieces" mouse 'title done 0' 'keys /' 'title done 1' 'keys \xe6' 'pause 100' 'keys \x96' 'pause 100' \
	'keys \x87' "wait filter: $wen" 'keys \xe6' 'pause 100' 'keys z' "wait filter: ${wen}z"

# Cells of size, number of devices, terminal, locale and colour, whatever is drawn in them
cells=$(cat tests/golden/screen-*.txt | grep '^=== [^ ]* [a-z]* [0-9]* ' | awk '{ print $2, $4, $5, $6, / NO_COLOR/ }' | sort -u | wc -l)
if [ "$cells" -ge 60 ]; then ok "$cells cells"; else fail "60 cells" "$cells"; fi

if [ $failed -eq 0 ]; then ok "every screen came"; else fail "every screen came" "see above"; fi
finish
