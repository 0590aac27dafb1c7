#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top on a full screen, in tmux: sizes, terminals, keys, colours, resizing, and the terminal as
# it was after every way to leave.
. tests/lib.sh
command -v tmux >/dev/null 2>&1 || skip "tmux is not installed"
trap 'tmux -L "$sock" kill-server 2>/dev/null; kill $pid 2>/dev/null; wait; rm -rf "$T"' EXIT
screens=0 sock=berth-$$
unset TMUX TMUX_PANE COLUMNS LINES
mkdir "$T/run"
export BERTH_RUNTIME_DIR="$T/run" XDG_CONFIG_HOME="$T/config"
: >"$T/ready"
"$BUILD/tests/fake/prog_telem_writer" "$T/run/live.telem" 1000 >"$T/ready" &
pid=$!
wait_for grep -q ready "$T/ready"
machine=tests/machines/three
# The leak check of a sanitized build hangs for ever in a process whose terminal has gone, as kill-server makes
# it go: it is on only where the program leaves by itself.
leaks=${ASAN_OPTIONS:-}
export ASAN_OPTIONS="$leaks:detect_leaks=0"

t() {
	tmux -L "$sock" -f /dev/null "$@"
}

# screen COLUMNS ROWS COMMAND: the command in a shell that shows its exit and waits
screen() {
	t kill-server 2>/dev/null
	# A server of its own: the last one may still be ending, and would take this session with it.
	screens=$((screens + 1)) sock=berth-$$-$screens
	t new-session -d -x "$1" -y "$2" "$3; echo exit=\$?; stty -a | grep -o ' -*echo ' ; exec cat" ||
		skip "tmux cannot start a server here"
	t set-option -g status off
	t resize-window -x "$1" -y "$2" 2>/dev/null
}

# sees NAME PATTERN: the screen comes to have it
sees() {
	wait_for shown "$2" && ok "$1" || fail "$1" "no '$2' on: $(cat "$T/screen")"
}
shown() {
	t capture-pane -p >"$T/screen" 2>/dev/null
	grep -q -e "$1" "$T/screen"
}

top="$BERTH top --machine $machine"
screen 80 24 "ASAN_OPTIONS='$leaks' $top"
sees "80x24: a device" '^03:00.0 Radeon RX 7900 XT \[O'
sees "80x24: a run" '^fake-7b q8_0 .*verified'
sees "80x24: the keys" 'q quit .*? help'
if [ "$(wc -l <"$T/screen")" -le 24 ]; then ok "80x24: fits"; else fail "80x24: fits" "too long"; fi
t send-keys '?'
sees "? shows the keys" 'PgUp PgDn  The same by a screen'
t send-keys '?'
sees "? goes back" '^fake-7b'
t send-keys p
sees "p pauses" 'PAUSED'
t send-keys p
sees "p goes on" 'run  every 1.0 s'
t send-keys -- -
sees "- is slower" 'every 2.0 s'
t send-keys + + + +
sees "+ is faster" 'every 0.1 s'
# every key, one after the other
key() {
	t send-keys -- "$2"
	sees "$1" "$3"
}
key "Enter: all about a device" Enter '^held back by'
key "Esc: back" Escape '^DEVICE'
key "e: events" e 'Nothing has changed\|context in use'
key "e: back" e '^DEVICE'
key "2: runs" 2 '^fake-7b'
key "Enter: all about a run" Enter '^requests'
key "Down scrolls there" Down '^requests'
key "Backspace: back" BSpace '^DEVICE'
key "Tab: the next list" Tab '^DEVICE'
key "BTab: back to it" BTab '^DEVICE'
key "1: devices" 1 '^03:00.0'
for k in j k Down Up PgDn PgUp End Home G g Right Left 3 4 1 NPage PPage; do
	t send-keys -- "$k"
done
key "/: a filter" / 'filter:'
t send-keys r a d e o n
sees "/: while it is typed" 'filter: radeon'
key "/: taken" Enter "only 'radeon'"
sees "/: shows what has the letters" '^03:00.0 Radeon'
if grep -q 'UHD' "$T/screen"; then fail "/: nothing else" "$(cat "$T/screen")"; else ok "/: nothing else"; fi
key "Esc: without it" Escape 'UHD'
key "s: sorted" s 'sorted by: name'
key "t: theme" t 'theme: dark'
key "c: charts" c 'charts: ascii'
key "u: units" u ' GB '
key "d: degrees" d ' 106 F'
key "m: the mouse selects text" m 'the mouse: selects text'
key "P: processes" P 'processes: hidden'
key "E: events" E 'events: hidden'
t send-keys 2
key "[: fewer rows" '[' 'runs: at most'
key "]: more rows" ']' 'runs: at most'
key "X: all as large as fits" X 'lists: all'
key "x: the list is hidden" x 'runs: hidden'
key "2: and shown again" 2 '^fake-7b'
key "[: for the settings" '[' 'runs: at most'
key "P: for the settings" P 'processes: hidden'
key "S: saves" S 'The settings are saved'
key "R: a recording, or why not" R 'record'
key "<: no recording to wind" '<' 'Only a recording'
key ">: no recording to wind" '>' 'Only a recording'
key "K: asks nothing of a captured machine" K 'of this machine'
key "F1: help" F1 'Show or hide this page'
key "F1: back" F1 '^DEVICE'
t send-keys C-l
sees "Ctrl-L" '^DEVICE'
if grep -q '^units = si' "$T/config/berth/top.conf" && grep -q '^theme = dark' "$T/config/berth/top.conf" &&
	grep -q '^rows-runs = [0-9]' "$T/config/berth/top.conf" && grep -q '^hide-processes = yes' "$T/config/berth/top.conf"; then
	ok "what was saved"
else
	fail "what was saved" "$(cat "$T/config/berth/top.conf")"
fi
rm -rf "$T/config"
t send-keys q
sees "q leaves with 0" '^exit=0'
sees "q gives the terminal back" '^ echo'

# a bridge on the live machine: its accesses, its page, and its end
: >"$T/bridge.ready"
"$BUILD/tests/fake/prog_telem_writer" "$T/run/bridge.telem" 1000 bridge >"$T/bridge.ready" &
bridge=$!
wait_for grep -q ready "$T/bridge.ready"
screen 100 30 "$top"
sees "a bridge" '^05:00.0 fake-vm .*running .*trap'
t send-keys 3
key "Enter: all about the bridge" Enter '^took .*half below'
sees "its accesses a second" '^[0-9.e+]* /s '
key "Esc: back from the bridge" Escape '^DEVICE'
kill $bridge
wait $bridge 2>/dev/null
sees "a bridge whose process is gone" '^05:00.0 fake-vm .*DEAD'
sees "and the alarm" 'BAD .*bridge its process is gone'
t send-keys q
sees "and leaves it" '^exit=0'
rm -f "$T/run/bridge.telem"

mkdir "$T/home"
screen 80 24 "HOME=$T/home XDG_DATA_HOME= XDG_CACHE_HOME= OLLAMA_MODELS=$T/home $BERTH top"
sees "this machine" 'q quit .*? help'
t send-keys f
sees "f asks the planner" 'No model is in any store'
t send-keys q
sees "f and q leave" '^exit=0'
screen 80 24 "$top"
sees "a captured machine" '^fake-7b'
t send-keys f
sees "f has nobody to ask of it" 'Only this machine can be asked'
t send-keys q
sees "and leaves" '^exit=0'

# The picture stands still; what is recorded goes on.
screen 80 24 "$top --interval 0.2 --record $T/paused.berthrec"
sees "a picture" '^fake-7b'
key "p: stands still" p 'PAUSED'
moments=$(grep -c '"moment"' "$T/paused.berthrec")
grows() {
	[ "$(grep -c '"moment"' "$T/paused.berthrec")" -gt $((moments + 3)) ]
}
wait_for grows && ok "the recording goes on" || fail "the recording goes on" "$moments moments"
sees "while it stands" 'PAUSED'
key "p: goes on" p 'run  every 0.2 s'
t send-keys q
sees "recorded" '^exit=0'

for sig in TERM INT HUP; do
	screen 80 24 "sh -c 'echo \$\$ >$T/pid; exec $top'"
	sees "before SIG$sig" '^fake-7b'
	kill -$sig "$(cat "$T/pid")"
	sees "SIG$sig leaves with 0" '^exit=0'
	sees "SIG$sig gives the terminal back" '^ echo'
done

# the live machine: the run's process is ended when the answer is y, and only then
: >"$T/doomed.ready"
"$BUILD/tests/fake/prog_telem_writer" "$T/run/doomed.telem" 1000 loading >"$T/doomed.ready" &
doomed=$!
wait_for grep -q ready "$T/doomed.ready"
screen 80 24 "$BERTH top"
sees "a run to be ended" 'starting'
t send-keys 2
key "K asks" K "End process $doomed"
key "n does not" n '^fake-7b'
if kill -0 $doomed 2>/dev/null; then ok "it lives"; else fail "it lives" "gone"; fi
key "K asks again" K "End process $doomed"
# held up, it does not end at once: what the monitor says of its end would be over what it says of the key
kill -STOP $doomed
key "y does" y 'asked to end'
kill -CONT $doomed
wait $doomed 2>/dev/null
sees "its row says so" 'LOST'
t send-keys q
sees "and out" '^exit=0'
rm -f "$T/run/doomed.telem"

screen 40 7 "$top"
sees "40x7: the run, though the devices do not fit" '^fake-7b'
sees "40x7: says how many more" ' below'
t send-keys Down Down Down Down Down Down
sees "40x7: the cursor reaches the last device" '^CPU '
t send-keys Home
sees "40x7: and back" '^00:02.0'
t send-keys q
sees "40x7: leaves" '^exit=0'

for term in vt100 linux xterm-256color; do
	screen 80 24 "TERM=$term $top"
	sees "TERM=$term" '^fake-7b q8_0 .*verified'
	t send-keys q
	sees "TERM=$term leaves" '^exit=0'
done
for term in dumb no-such-terminal; do
	screen 80 50 "TERM=$term sh -c 'echo \$\$ >$T/pid; exec $top --interval 0.5'"
	sees "TERM=$term prints sentences" '^Run live.telem is generating, model fake-7b q8_0'
	[ "$term" = dumb ] || sees "and says why" "the terminal '$term' is not known here"
	kill -INT "$(cat "$T/pid")"
	sees "TERM=$term ends" '^exit=0'
done

# at_work: the program has the screen for itself, as it does once it draws
at_work() {
	[ "$(t display-message -p '#{alternate_on}' 2>/dev/null)" = 1 ]
}
for size in "1 1" "2 1" "1 5" "20 5" "300 100" "80 2"; do
	set -- $size
	screen "$1" "$2" "$top"
	wait_for at_work && ok "$1x$2 lives" || fail "$1x$2 lives" "it shows nothing"
	t resize-window -x 80 -y 24
	sees "$1x$2 grows to 80x24" '^fake-7b q8_0 .*verified'
done

screen 80 24 "sh -c 'echo \$\$ >$T/pid; exec $top --interval 0.1'"
sees "before the storm" '^fake-7b'
for i in $(seq 12); do
	for size in "30 8" "200 60" "1 1" "81 25"; do
		set -- $size
		t resize-window -x "$1" -y "$2"
	done
done
t resize-window -x 80 -y 24
sees "after a storm of resizes" '^fake-7b q8_0 .*verified'
sees "its keys" 'q quit .*? help'
t send-keys q
sees "it leaves" '^exit=0'

# what goes to the terminal, byte by byte
raw() {
	rm -f "$T/piped" "$T/raw.whole"
	screen 80 24 "until [ -e $T/piped ]; do sleep 0.1; done; $1"
	t pipe-pane "cat >$T/raw; : >$T/raw.whole"
	: >"$T/piped"
	sees "$2" '^fake-7b'
	t send-keys q
	sees "$2 leaves" '^exit=0'
	t pipe-pane
	wait_for test -e "$T/raw.whole"
}
esc=$(printf '\033')
# colours: how often a colour was set; the reset to the own ones (39, 49) counts too
colours() {
	grep -o "$esc\[[0-9;]*m" "$T/raw" | tr -d "$esc[m" | tr ';' '\n' | grep -c '^\([349][0-9]\|10[0-7]\)$'
}
raw "env TERM=xterm-256color $top" "with colour"
n=$(colours)
if [ "$n" -gt 0 ]; then ok "colour codes"; else fail "colour codes" "none"; fi
raw "env NO_COLOR=1 TERM=xterm-256color $top" "NO_COLOR"
n=$(colours)
if [ "$n" -eq 0 ]; then ok "NO_COLOR: no colour codes"; else fail "NO_COLOR: no colour codes" "$n"; fi
if tr -d '\000-\177' <"$T/raw" | grep -q .; then fail "LC_ALL=C is pure ASCII" "it is not"; else ok "LC_ALL=C is pure ASCII"; fi
finish
