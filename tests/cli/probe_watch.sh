# berth probe --watch: uevents of a network name space of our own, over a machine's /sys that we change.
. tests/lib.sh

exits "watch and machine" 2 "$BERTH" probe --watch --machine "$(machine three)"
exits "timeout alone" 2 "$BERTH" probe --timeout 3
exits "count alone" 2 "$BERTH" probe --count 3
exits "the time ends it" 0 "$BERTH" probe --watch --timeout 1
[ ! -s "$T/out" ] && ok "no event, no line" || fail "no event, no line" "$(cat "$T/out")"
for signal in INT TERM; do
	"$BERTH" probe --watch >"$T/out" 2>"$T/err" &
	watcher=$!
	wait_for grep -q '^berth probe: watching' "$T/err"
	kill -$signal $watcher
	wait $watcher
	rc=$?
	[ "$rc" -eq 0 ] && [ ! -s "$T/out" ] && [ "$(wc -l <"$T/err")" -eq 1 ] && ok "SIG$signal ends it with 0, and is no error" ||
		fail "SIG$signal ends it with 0, and is no error" "exit $rc: $(cat "$T/out" "$T/err")"
done

. tests/lib_spaces.sh
own_spaces n

tree=$T/three
cp -R "$(machine three)" "$tree"
card=$(cd "$tree" && find sys/devices -type d -name 0000:03:00.0)
gone=$(cd "$tree" && find sys/devices -type d -name 0000:0a:00.0)
cat >"$T/script" <<'S'
# act NAME: everything that happens, one event after the other; a line of output answers each
# shellcheck disable=SC2154
send() {
	python3 tests/fake/uevent.py 1 "$@"
	n=$((n + 1))
	for _ in $(seq 1200); do
		[ "$(wc -l <"$T/events")" -ge "$n" ] && return
		sleep 0.05
	done
	echo "no answer to $*" >&2
}
quiet() { python3 tests/fake/uevent.py 1 "$@"; }
n=0
mount --bind "$tree/sys" /sys
: >"$T/notes"
"$BERTH" probe --watch $form --timeout 200 --count 8 >"$T/events" 2>"$T/notes" &
watcher=$!
for _ in $(seq 1200); do
	grep -q watching "$T/notes" && break
	sleep 0.05
done
quiet add /devices/pci0000:00/0000:00:1f.6 SUBSYSTEM=pci PCI_CLASS=20000
quiet add /devices/virtual/drm/card9 SUBSYSTEM=drm
quiet add "/${card#sys/}/drm/card0" SUBSYSTEM=drm
rm "$tree/sys/bus/pci/devices/0000:0a:00.0"
send remove "/${gone#sys/}" SUBSYSTEM=pci PCI_CLASS=30000
ln -s "../../../${gone#sys/}" "$tree/sys/bus/pci/devices/0000:0a:00.0"
send add "/${gone#sys/}" SUBSYSTEM=pci PCI_CLASS=30000
rm "$tree/$card/driver"
send unbind "/${card#sys/}" SUBSYSTEM=pci PCI_CLASS=30000 DRIVER=
ln -s ../../../../../../bus/pci/drivers/vfio-pci "$tree/$card/driver"
send bind "/${card#sys/}" SUBSYSTEM=pci PCI_CLASS=30000 DRIVER=vfio-pci
send change "/${card#sys/}/drm/card0" SUBSYSTEM=drm WEDGED=rebind,bus-reset
quiet add /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1/0-1.1 SUBSYSTEM=thunderbolt
send add /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1 SUBSYSTEM=thunderbolt
send change /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1 SUBSYSTEM=thunderbolt AUTHORIZED=1
send change /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1 SUBSYSTEM=thunderbolt AUTHORIZED=0
wait "$watcher"
S
export T tree card gone
for form in "" --json; do
	export form
	rm -f "$tree/$card/driver"
	ln -s ../../../../../../bus/pci/drivers/amdgpu "$tree/$card/driver"
	exits "eight events ${form:-as text}" 0 $ns sh -c "$private; . $T/script"
	[ -s "$T/err" ] && fail "each is answered" "$(cat "$T/err")" || ok "each is answered ${form:-as text}"
	grep -q '"key":"driver","from":"amdgpu","to":null\|vram_total_bytes: 24.0 GiB -> unknown' "$T/events" &&
		ok "what changed is told" || fail "what changed is told" "$(cat "$T/events")"
	# The time differs from run to run, and a name from one libdrm to the next; which facts follow the
	# driver is another test's subject.
	sed 's,RX 7900 XT/7900 XTX,RX 7900 XTX,; s/20[0-9-]*T[0-9:.]*Z/TIME/; s/; [a-z].* -> .*//; s/"changes":.*/"changes":[]}/' "$T/events" >"$T/plain"
	golden "probe-watch${form:+.json}" "$T/plain"
done
while read -r line; do
	echo "$line" >"$T/line"
	python3 tests/validate.py docs/schema/watch.json "$T/line" >>"$T/bad"
done <"$T/events"
[ -s "$T/bad" ] && fail "schema watch" "$(cat "$T/bad")" || ok "schema watch"

# --- more events than the kernel keeps, while we do not listen: told by looking again ---
cat >"$T/script" <<'S'
mount --bind "$tree/sys" /sys
: >"$T/notes"
# Without this capability libudev cannot have a buffer that holds them all.
setpriv --bounding-set -net_admin --inh-caps -net_admin \
	"$BERTH" probe --watch --timeout 200 --count 1 >"$T/events" 2>"$T/notes" &
watcher=$!
for _ in $(seq 1200); do
	grep -q watching "$T/notes" && break
	sleep 0.05
done
kill -STOP $watcher
rm "$tree/sys/bus/pci/devices/0000:0a:00.0"
python3 tests/fake/uevent.py 20000 change /devices/pci0000:00/0000:00:1f.6 SUBSYSTEM=pci PCI_CLASS=20000
kill -CONT $watcher
wait $watcher
S
exits "events are lost" 0 $ns sh -c "$private; . $T/script"
grep -q 'events were lost' "$T/notes" && ok "that is said" || fail "that is said" "$(cat "$T/notes")"
grep -q '0000:0a:00.0 .* vanished' "$T/events" && ok "nothing is missed" || fail "nothing is missed" "$(cat "$T/events")"
finish
