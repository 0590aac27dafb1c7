#!/bin/sh
# Boxes are let in through boltd: the real one, on a bus of its own, over a Thunderbolt tree of umockdev's, with a
# polkit that we play. What boltd writes goes to that tree, and berth sees it as /sys in a name space of its own.
. tests/lib.sh
. tests/lib_spaces.sh

service=/usr/share/dbus-1/system-services/org.freedesktop.bolt.service
boltd=$(sed -n 's/^Exec=//p' $service 2>/dev/null)
[ -x "$boltd" ] || skip "there is no boltd"
command -v umockdev-wrapper dbus-daemon >/dev/null || skip "there is no umockdev or no dbus-daemon"
[ -x "$BUILD/tests/fake/prog_polkitd" ] || skip "built without libsystemd"
own_spaces

# ---- the tree: one controller, three boxes that nobody let in

{
	cat <<-E
		P: /devices/pci0000:00/0000:00:0d.2
		E: SUBSYSTEM=pci
		E: DRIVER=thunderbolt
		A: class=0x0c0340\n
		A: vendor=0x8086\n
		A: device=0x9a1b\n

		P: /devices/pci0000:00/0000:00:0d.2/domain0
		E: SUBSYSTEM=thunderbolt
		E: DEVTYPE=thunderbolt_domain
		A: security=user\n
		A: deauthorization=1\n
		A: iommu_dma_protection=0\n

		P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0
		E: SUBSYSTEM=thunderbolt
		E: DEVTYPE=thunderbolt_device
		A: authorized=1\n
		A: unique_id=c4010000-0090-8c0f-a3a4-0e3f1c000000\n
		A: vendor=0x8086\n
		A: device=0x1\n
		A: vendor_name=Maker\n
		A: device_name=Laptop\n
		A: generation=4\n
	E
	for n in 1 3 5 7; do
		cat <<-E

			P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-$n
			E: SUBSYSTEM=thunderbolt
			E: DEVTYPE=thunderbolt_device
			A: authorized=0\n
			A: unique_id=d103000$n-0080-7608-23e4-bc8d0d2a1111\n
			A: vendor=0x127\n
			A: device=0x$n\n
			A: vendor_name=Razer\n
			A: device_name=Core $n\n
			A: generation=3\n
		E
	done
} >"$T/tree.umockdev"

# await FILE: until it is there and holds something
await() {
	wait_for test -s "$1" && return
	fail "$1" "did not come"
	finish
}

# Nothing of ours outlives the test.
stop() {
	# The one that holds the tree ends by itself, when it is told; boltd may be stopped.
	timeout 2 sh -c 'echo >"$0/end"' "$T"
	[ ! -e "$T/boltd.pid" ] || kill -KILL "$(cat "$T/boltd.pid")" 2>/dev/null
	# shellcheck disable=SC2086
	kill $pids 2>/dev/null
	wait
	rm -rf "$T"
}
pids=
trap stop EXIT

mkdir -p "$T/services" "$T/bolt/devices" "$T/bolt/domains" "$T/bolt/keys" "$T/run" && mkfifo "$T/end"
umockdev-run -d "$T/tree.umockdev" -- sh -c 'echo "$UMOCKDEV_DIR" >"$1/bed" && read _ <"$1/end"' sh "$T" &
pids="$pids $!"
await "$T/bed"
bed=$(cat "$T/bed")
box=$bed/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0

cat >"$T/boltd" <<E
#!/bin/sh
echo \$\$ >"$T/boltd.pid"
export DBUS_SYSTEM_BUS_ADDRESS="\$DBUS_STARTER_ADDRESS"
export UMOCKDEV_DIR="$bed" STATE_DIRECTORY="$T/bolt" RUNTIME_DIRECTORY="$T/run" SYSTEMD_DEVICE_VERIFY_SYSFS=0
exec umockdev-wrapper "$boltd" -v >>"$T/boltd.log" 2>&1
E
chmod +x "$T/boltd"
printf '[D-BUS Service]\nName=org.freedesktop.bolt\nExec=%s\n' "$T/boltd" >"$T/services/org.freedesktop.bolt.service"
cat >"$T/bus.conf" <<E
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=$T</listen>
  <servicedir>$T/services</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
E
dbus-daemon --config-file="$T/bus.conf" --nofork --print-address=3 3>"$T/address" 2>"$T/bus.err" &
pids="$pids $!"
await "$T/address"
DBUS_SYSTEM_BUS_ADDRESS=$(head -n 1 "$T/address")
export DBUS_SYSTEM_BUS_ADDRESS BERTH_STATE_DIR="$T/state"
echo org.freedesktop.bolt.authorize >"$T/allow"
"$BUILD/tests/fake/prog_polkitd" "$T/allow" >"$T/polkitd" 2>&1 &
pids="$pids $!"
await "$T/polkitd"

# on_tree COMMAND...: with the tree as /sys; never without it
on_tree() {
	# shellcheck disable=SC2016,SC2086
	$ns sh -c "$private"' && mount --bind "$0/sys" /sys && exec "$@"' "$bed" "$@"
}
# holds NAME FILE TEXT
holds() {
	now=$(cat "$2" 2>&1)
	[ "$now" = "$3" ] && ok "$1" || fail "$1" "$2 holds '$now', not '$3'"
}
uid() {
	echo "d103000$1-0080-7608-23e4-bc8d0d2a1111"
}
# left: nobody has boltd's name
left() {
	! boltctl list >/dev/null 2>&1
}
# bolt_says NAME BOX WORD: boltctl shows the word as its status
bolt_says() {
	boltctl info "$(uid "$2")" >"$T/info" 2>&1
	grep -q "status: *$3\$" "$T/info" && ok "$1" || fail "$1" "$(grep status "$T/info")"
}

# ---- installed and not running: it is not started to plan, only to act

exits "planning does not start it" 0 on_tree "$BERTH" device authorise 0-1 --dry-run
[ ! -e "$T/boltd.pid" ] && ok "it was not" || fail "it was not" "it was"
holds "and nothing is written" "$box/0-1/authorized" 0
exits "boltd is started, and lets the box in" 0 on_tree "$BERTH" device authorise 0-1
holds "it wrote" "$box/0-1/authorized" 1
bolt_says "it says so" 1 authorized
exits "a second time there is nothing to do" 0 on_tree "$BERTH" device authorise 0-1
exits "undo lets it out" 0 on_tree "$BERTH" device undo
holds "it is out" "$box/0-1/authorized" 0
[ -z "$(ls "$T/bolt/devices")" ] && ok "nothing is enrolled" || fail "nothing is enrolled" "$(ls "$T/bolt/devices")"

# ---- its policy refuses

: >"$T/allow"
exits "polkit refuses" 5 on_tree "$BERTH" device authorise "Core 3"
says "that says who" "boltd's policy (polkit) does not allow it"
holds "the box stays out" "$box/0-3/authorized" 0
exits "nor may it be enrolled" 5 on_tree "$BERTH" device authorise 0-3 --enrol
holds "it still is out" "$box/0-3/authorized" 0

# ---- enrolled only when asked for

printf 'org.freedesktop.bolt.enroll\norg.freedesktop.bolt.manage\n' >"$T/allow"
exits "--enrol keeps it" 0 on_tree "$BERTH" device authorise "$(uid 3)" --enroll
says "and says what that means" "by itself from now on, by its own default policy ('auto')"
holds "the box is in" "$box/0-3/authorized" 1
[ -e "$T/bolt/devices/$(uid 3)" ] && ok "boltd keeps it" || fail "boltd keeps it" "$(ls "$T/bolt/devices")"
exits "it is enrolled once" 4 on_tree "$BERTH" device authorize 0-3 --enrol
exits "undo forgets it" 0 on_tree "$BERTH" device undo
[ ! -e "$T/bolt/devices/$(uid 3)" ] && ok "boltd forgot it" || fail "boltd forgot it" "$(ls "$T/bolt/devices")"
holds "and the box is out" "$box/0-3/authorized" 0

# ---- it does not answer, and it is gone

kill -STOP "$(cat "$T/boltd.pid")"
exits "one that hangs is told" 0 on_tree "$BERTH" device authorise 0-5 --dry-run
cat "$T/out" "$T/err" >"$T/both"
grep -q 'it runs and does not answer' "$T/both" && ok "in words" || fail "in words" "$(cat "$T/both")"
kill -CONT "$(cat "$T/boltd.pid")"
rm "$T/services/org.freedesktop.bolt.service"
kill "$(cat "$T/boltd.pid")"
wait_for left
exits "without it sysfs is written" 0 on_tree "$BERTH" device authorise 0-7
holds "the box is in" "$box/0-7/authorized" 1
exits "and deauthorised" 0 on_tree "$BERTH" device deauthorise 0-7
holds "the box is out" "$box/0-7/authorized" 0
finish
