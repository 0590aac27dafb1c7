#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top without a person: one frame as text and as JSON, pages alive, dead and foul, a captured
# machine, bad options. The full screen is cli/top_screen.
. tests/lib.sh
writer=$BUILD/tests/fake/prog_telem_writer
pids=
trap 'for p in $pids; do kill "$p" 2>/dev/null; done; wait; rm -rf "$T"' EXIT
mkdir "$T/run"
export BERTH_RUNTIME_DIR="$T/run" COLUMNS=80

# a machine of our own making: no GPU, 8 GiB, half of it free
machine=$T/machine
mkdir -p "$machine/proc/sys/kernel" "$machine/sys/bus/pci/devices"
printf 'MemTotal:        8388608 kB\nMemFree:         4194304 kB\nMemAvailable:    4194304 kB\n' \
	>"$machine/proc/meminfo"
top() {
	run "$BERTH" top --machine "$machine" "$@"
}

# shows NAME PATTERN / lacks NAME PATTERN: the last run's stdout
shows() {
	if grep -q -e "$2" "$T/out"; then ok "$1"; else fail "$1" "no '$2' in: $(cat "$T/out")"; fi
}
lacks() {
	if grep -q -e "$2" "$T/out"; then fail "$1" "'$2' in: $(cat "$T/out")"; else ok "$1"; fi
}

# page NAME SECONDS HOW: a page that a process writes meanwhile
page() {
	"$writer" "$T/run/$1.telem" "$2" "$3" >"$T/$1.ready" &
	pids="$pids $!"
	wait_for grep -q ready "$T/$1.ready"
}

exits "nothing runs" 0 "$BERTH" top --machine "$machine" --once
shows "no runs is said" "^No runs; 'berth launch MODEL' starts one.$"
shows "no GPU is said" '^No GPU found; the CPU is the device.$'
shows "memory of the machine" ' 4.0/8.0 GiB '
shows "captured is said" '(captured)'
sed 's/  [0-9][0-9]:[0-9][0-9]:[0-9][0-9]/  HH:MM:SS/' "$T/out" >"$T/frame"
golden top-no-gpu.txt "$T/frame"
for m in three asleep nvidia2; do
	run "$BERTH" top --machine "tests/machines/$m" --once
	sed 's/  [0-9][0-9]:[0-9][0-9]:[0-9][0-9]/  HH:MM:SS/' "$T/out" >"$T/frame"
	golden "top-$m.txt" "$T/frame"
done

page live 1000 beat
# is_steady: about 100 tokens a second; as it begins, there are no two seconds yet
is_steady() {
	top --once
	now=$(awk '/^fake-7b/ { print $(NF - 1) }' "$T/out")
	awk "BEGIN { exit !(${now:-0} > 50 && ${now:-0} < 150) }"
}
wait_for is_steady && ok "speed of the last two seconds" || fail "speed of the last two seconds" "'$now' of about 100 tokens/s"
shows "a live run" '^fake-7b q8_0  *generating verified '
shows "one run" ' 1 run'
shows "where it is" '^  on CPU 5/5, Vulkan0 4/4 layers  drift +0.0% of 576.0 MiB planned$'
shows "weights, kv and compute in the bar" '^CPU.*\[W*K*C*O*\.*\]'
page loading 1000 loading
page stopped 1000 stopped
page hostile 1000 hostile
"$writer" "$T/run/dead.telem" 0 >"$T/null"
"$writer" "$T/run/half.telem" 0 midwrite >"$T/null"
echo junk >"$T/run/junk.telem"
: >"$T/run/empty.telem"
ln -s /etc/passwd "$T/run/link.telem"
mkfifo "$T/run/fifo.telem"
exits "foul pages do no harm" 0 "$BERTH" top --machine "$machine" --once
shows "a run that loads" 'starting  *not yet'
shows "a run that ended" 'stopped  *verified'
shows "a dead run" '^fake-7b q8_0  *LOST '
shows "whose writer is dead" '^  writer dead: process [0-9]* is gone'
shows "died in a change" '^note: half.telem: writer dead'
shows "only the living count" ' 2 runs'
shows "a hostile page is cleaned" '^?\[2J?\]0;owned'
if tr -d '\n -~' <"$T/out" | grep -q .; then
	fail "pure ASCII in the C locale" "$(od -c "$T/out" | head)"
else
	ok "pure ASCII in the C locale"
fi
longest=$(awk '{ if (length > n) n = length } END { print n }' "$T/out")
if [ "$longest" -le 80 ]; then ok "80 columns"; else fail "80 columns" "$longest"; fi
# as long as the names of the folders above are
COLUMNS=1000 top --once
shows "junk is named" '^note: .*junk.telem'
shows "an empty file is named" '^note: .*empty.telem'
shows "a link is not followed" '^note: .*link.telem'
shows "a fifo is not waited for" '^note: .*fifo.telem'
for cols in 1 10 40 300 99999; do
	COLUMNS=$cols top --once
	longest=$(awk '{ if (length > n) n = length } END { print n }' "$T/out")
	if [ "$rc" -eq 0 ] && [ "$longest" -le "$cols" ]; then
		ok "$cols columns"
	else
		fail "$cols columns" "exit $rc, $longest wide"
	fi
done
COLUMNS=80
top
shows "no terminal: one frame" '^fake-7b'

top --once --json
if [ "$rc" -eq 0 ]; then ok "JSON"; else fail "JSON" "exit $rc"; fi
valid "top --once --json" top "$T/out"
"$BERTH" top --machine "$machine" --json --interval 0.2 >"$T/lines" </dev/null &
stream=$!
streams() {
	[ "$(wc -l <"$T/lines")" -ge 3 ]
}
wait_for streams
kill $stream
wait $stream
rc=$?
n=$(grep -c '^{"schema":"berth.top/1".*}$' "$T/lines")
if [ $rc -eq 0 ] && [ "$n" -ge 3 ] && [ "$n" -eq "$(wc -l <"$T/lines")" ]; then
	ok "a stream is one object a line, ended by SIGTERM"
else
	fail "a stream is one object a line, ended by SIGTERM" "exit $rc, $n objects"
fi
head -n 1 "$T/lines" >"$T/line"
valid "top --json" top "$T/line"

for p in $pids; do kill "$p" 2>/dev/null; done
wait 2>/dev/null
pids=
top --once
lacks "the killed hold nothing" '\[W'

unset BERTH_RUNTIME_DIR
export XDG_RUNTIME_DIR="$T/xdg"
mkdir -p "$T/xdg/berth"
"$writer" "$T/xdg/berth/x.telem" 0 >"$T/null"
top --once
shows "a captured machine has no runs of this one" '^No runs'
exits "this machine" 0 "$BERTH" top --once
shows "its runs" '^fake-7b q8_0  *LOST'
lacks "is not captured" '(captured)'

exits "unknown option" 2 "$BERTH" top --onec
one_sentence "one sentence"
for v in 0 0.05 61 -1 1e1 x '' . 1.2.3 99999999999999999999; do
	exits "--interval '$v'" 2 "$BERTH" top --once --interval "$v"
done
one_sentence "one sentence about the interval"
for v in 0.1 1 60 2.5 .5; do
	exits "--interval '$v'" 0 "$BERTH" top --machine "$machine" --once --interval "$v"
done
exits "a word too many" 2 "$BERTH" top now
exits "no such machine" 1 "$BERTH" top --once --machine "$T/absent"
one_sentence "one sentence about the machine"
exits "a machine that is a file" 4 "$BERTH" top --once --machine "$T/frame"
"$BERTH" top --once --machine "$machine" >/dev/full 2>"$T/err"
rc=$?
if [ $rc -eq 5 ]; then ok "a full disk is told"; else fail "a full disk is told" "exit $rc"; fi
one_sentence "one sentence about the disk"
finish
