#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top without a screen, recorded, shown again, of another machine, and as a demo.
. tests/lib.sh
trap 'kill $pids 2>/dev/null; wait; rm -rf "$T"' EXIT
pids=
mkdir "$T/run"
export BERTH_RUNTIME_DIR="$T/run" XDG_CONFIG_HOME="$T/config" COLUMNS=80
: >"$T/ready"
"$BUILD/tests/fake/prog_telem_writer" "$T/run/live.telem" 1000 >"$T/ready" &
pids=$!
wait_for grep -q ready "$T/ready"
machine=tests/machines/three
top="$BERTH top"

has() { # NAME PATTERN FILE
	if grep -q -e "$2" "$3"; then ok "$1"; else fail "$1" "no '$2' in: $(cat "$3")"; fi
}

# --- sentences ---
exits "--line" 0 $top --machine $machine --line --count 2
has "a device's sentence" '^0000:03:00.0  AMD Radeon.* is ok, has 1.2 GiB of 24.0 GiB in use, draws 23 watts, is at 41 degrees Celsius\.$' "$T/out"
has "a run's sentence" '^Run live.telem is generating, model fake-7b q8_0, has [0-9]* of 2048 tokens' "$T/out"
if [ "$(grep -c '^Run live' "$T/out")" = 1 ]; then ok "what does not change is said once"; else fail "what does not change is said once" "$(cat "$T/out")"; fi

# --- metrics ---
exits "--prometheus" 0 $top --machine $machine --prometheus
has "a device's metric" '^berth_gpu_power_watts{pci="0000:03:00.0",name="AMD Radeon[^"]*"} 23$' "$T/out"
has "a run's metric" '^berth_run_memory_bytes{run="live.telem",model="fake-7b q8_0",pci="",device="CPU",purpose="weights"} 268435456$' "$T/out"

# as Prometheus' own linter has them: each of a family that was declared, called as its kind is, none twice
mkdir "$T/prom"
for how in stopped loading hostile bridge bridge-lost bridge-hostile; do
	"$BUILD/tests/fake/prog_telem_writer" "$T/prom/$how.telem" 0 $how >"$T/null"
done
BERTH_RUNTIME_DIR="$T/prom" exits "--prometheus of runs and bridges" 0 $top --machine $machine --prometheus
if awk '
	function bad(why) { print why ": " $0; n++ }
	/^# HELP / { help[$3] = 1; next }
	/^# TYPE / { family = $3; kind = $4; if (typed[family]++) bad("declared twice"); next }
	{
		name = base = series = $0
		sub(/[{ ].*/, "", name)
		base = name
		if (kind == "summary" || kind == "histogram") sub(/_(sum|count|bucket)$/, "", base)
		if (base != family || !help[family]) bad("of no family")
		if ((kind == "counter") != (name ~ /_total$/)) bad("counters, and they alone, are totals")
		if (base == name && name ~ /_(sum|count|bucket)$/) bad("called as one of several")
		sub(/ [^ ]*$/, "", series)
		if (seen[series]++) bad("twice")
	}
	END { exit n || NR < 100 }' "$T/out" >"$T/why"; then ok "as promtool wants them"; else fail "as promtool wants them" "$(head -n 5 "$T/why")"; fi
has "what is counted and summed is a summary" '^# TYPE berth_run_first_token_seconds summary$' "$T/out"

# --- recorded, and shown again ---
exits "--record" 0 $top --machine $machine --record "$T/film.berthrec" --count 3 --interval 1
exits "a recording is not written over" 5 $top --machine $machine --record "$T/film.berthrec" --count 1
has "and why" 'another name keeps both' "$T/err"
if python3 -c '
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
assert lines[0]["schema"] == "berth.recording/1" and lines[1]["f"] == "index"
assert [l["id"] for l in lines if l.get("f") == "device"][:2] == ["0000:00:02.0", "0000:03:00.0"]
times = [l["t"] for l in lines]
assert times == sorted(times) and times[-1] - times[0] >= 300
' "$T/film.berthrec" 2>"$T/err"; then ok "it is lines of JSON, in order"; else fail "it is lines of JSON, in order" "$(cat "$T/err")"; fi
(
	ulimit -f 2
	$top --machine $machine --record "$T/cut.berthrec" --line --count 2 --interval 0.2 >"$T/out" 2>"$T/err"
)
rc=$?
if [ $rc = 5 ]; then ok "a disk that is full"; else fail "a disk that is full" "exit $rc, $(cat "$T/err")"; fi
has "is told at once" 'Warning: The recording broke off: File too large\.$' "$T/out"
exits "--replay --once" 0 $top --replay "$T/film.berthrec" --once
has "says what it is" 'REPLAY film.berthrec, 0:00 of [0-9]*:[0-9][0-9]' "$T/out"
has "the devices of then" '^03:00.0 Radeon RX 7900 XT .*1.2/24.0 GiB' "$T/out"
has "the runs of then" '^fake-7b q8_0.*generating' "$T/out"
{
	head -n 3 "$T/film.berthrec"
	echo garbage
	tail -n +4 "$T/film.berthrec"
} >"$T/spoilt.berthrec"
exits "--replay of a spoilt recording" 0 $top --replay "$T/spoilt.berthrec" --once --at -1
has "shows what is sound" 'Radeon RX 7900 XT' "$T/out"
has "and tells what was not" 'made no sense, and were passed over: 1$' "$T/err"
exits "--replay --once --json" 0 $top --replay "$T/film.berthrec" --once --json --at -1
valid "--replay --once --json" top "$T/out"
if python3 -c '
import json, sys
run = json.load(open(sys.argv[1]))["runs"][0]
assert run["generated_tokens_per_s_now"] is not None, run
' "$T/out" 2>"$T/err"; then ok "the speed of then"; else fail "the speed of then" "$(tail -n 1 "$T/err")"; fi
printf 'GGUF' >"$T/none"
exits "no recording" 4 $top --replay "$T/none" --once
has "and what it is not" 'is no recording of' "$T/err"
exits "a recording that is not there" 1 $top --replay "$T/absent" --once

# --- another machine ---
printf '#!/bin/sh\nshift 3\n%s top --machine %s --record - --interval 0.2 --count 3\necho over >&2\n' "$BERTH" "$machine" >"$T/ssh"
chmod +x "$T/ssh"
BERTH_SSH="$T/ssh" exits "--host" 0 $top --host me@ws1 --once
has "says whose it is" 'me@ws1' "$T/out"
has "its devices" '^03:00.0 Radeon RX 7900 XT .*1.2/24.0 GiB' "$T/out"
printf '#!/bin/sh\necho "Connection refused" >&2\nexit 255\n' >"$T/ssh"
BERTH_SSH="$T/ssh" exits "--host that is not reached" 5 $top --host me@ws1 --once
has "ssh's last word" 'nothing came from me@ws1: Connection refused' "$T/err"
exits "--host that is an option" 2 $top --host -oProxyCommand=x --once

# What hangs is left, and ssh is not told to be deaf to it
printf '#!/bin/sh\nshift 3\n%s top --machine %s --record - --count 1\necho ready >"%s"\nexec sleep 1000\n' \
	"$BERTH" "$machine" "$T/hangs" >"$T/ssh"
BERTH_SSH="$T/ssh" $top --host me@ws1 --line --interval 0.2 >"$T/out" &
far=$!
pids="$pids $far"
wait_for test -e "$T/hangs"
wait_for grep -q 'Radeon' "$T/out"
kill "$far"
wait "$far"
rc=$?
if [ $rc = 0 ]; then ok "--host that hangs is left"; else fail "--host that hangs is left" "exit $rc"; fi

# --- a demo ---
exits "--demo" 0 $top --demo --once
has "says that it is one" ' DEMO' "$T/out"
exits "--demo --once --json" 0 $top --demo --once --json
valid "--demo --once --json" top "$T/out"
$top --demo --json --count 4 --interval 0.5 >"$T/out"
if python3 -c '
import json, sys
power = [json.loads(l)["devices"][0]["power_mw"] for l in open(sys.argv[1])]
assert len(set(power)) > 1, power
' "$T/out" 2>"$T/err"; then ok "it moves"; else fail "it moves" "$(cat "$T/err")"; fi

# --- the flight recorder ---
$top --flight &
flight=$!
pids="$pids $flight"
wait_for grep -qs '"f":"machine"' -r "$T/run" --include='*.part'
kill "$flight"
wait "$flight"
rc=$?
if [ $rc = 0 ]; then ok "--flight ends as asked"; else fail "--flight ends as asked" "exit $rc"; fi
cat "$T"/run/flight/*.part >"$T/flight.berthrec"
exits "its pieces are a recording" 0 $top --replay "$T/flight.berthrec" --once --at -1

# --- what cannot be ---
for bad in "--demo --machine $machine" "--json --line" "--at 5" "--replay x --at 1:2:3" "--replay x --at -" \
	"--flight --once" "--record - --json" "--record x --replay y"; do
	exits "$bad" 2 $top $bad
done
# Without an end of its own, as it runs for a monitor on another machine
{
	$top --demo --record - --interval 0.1 2>"$T/err"
	echo "$?" >"$T/rc"
} | head -1 >"$T/first"
has "a reader that leaves" 'berth.recording/1' "$T/first"
has "ends the recording" '^5$' "$T/rc"
has "which says so" 'could not be written: Broken pipe' "$T/err"
finish
