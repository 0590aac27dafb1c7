# berth device eject, reset, rebar: every write against a golden, sentences and exit codes of what is refused.
. tests/lib.sh
D=$BUILD/tests/device

# shows NAME MACHINE VERB...: what would be written on that machine
shows() {
	name=$1 machine=$2
	shift 2
	exits "$name" 0 "$BERTH" device "$@" --machine "$D/$machine"
	cat "$T/err" "$T/out" >"$T/all"
	golden "device-slot-$name.txt" "$T/all"
}

# no NAME STATUS PATTERN MACHINE VERB...
no() {
	name=$1 status=$2 pattern=$3 machine=$4
	shift 4
	exits "$name" "$status" "$BERTH" device "$@" --machine "$D/$machine"
	says "$name says why" "$pattern"
	one_sentence "$name in one sentence"
	[ -s "$T/out" ] && fail "$name" "prints something all the same"
}

find "$D" -type f -exec md5sum {} + | sort -k2 >"$T/before"

shows eject-box box.free eject 2e:00.0
shows eject-force box.mounted eject 2e:00.0 --force
shows eject-row box.two eject 44:00.0
shows eject-fixed box.fixed eject 2e:00.0
shows eject-slot slots eject 01:00.0
shows eject-no-switch slots eject 02:00.0
no eject-mounted 5 '/media/models is mounted' box.mounted eject 2e:00.0
no eject-soldered 5 'no port above it serves hot-plug' slots eject 04:00.0
no eject-absent 1 '7f:00.0' slots eject 7f:00.0
no eject-no-gpu 4 'is no GPU or accelerator' box.free eject 2f:00.0
no eject-boot 5 'boot display\|no port above' slots eject 00:02.0

shows reset-flr resets reset 01:00.0 --method flr
shows reset-order resets reset 02:00.0
shows reset-bus resets reset 03:00.0
shows reset-weak resets reset 08:00.0
no reset-word 4 "'kick' is no way to reset" resets reset 01:00.0 --method kick
no reset-method 4 'the kernel offers: flr pm' resets reset 01:00.0 --method device_specific
no reset-shared 5 'shares its bus with 0000:04:00.1' resets reset 04:00.0
no reset-none 5 'only taking its power off and on' resets reset 05:00.0
no reset-off 5 'echo default' resets reset 06:00.0
no reset-bridge 4 'carries other devices' resets reset 00:07.0 --any
no reset-option 2 'reset takes no --persist' resets reset 01:00.0 --persist
no eject-option 2 'eject takes no --method' box.free eject 2e:00.0 --method flr

shows rebar-grow rebar rebar 12:00.0 0 16G
shows rebar-port rebar rebar 22:00.0 bar1 16GiB --force
shows rebar-card rebar rebar 30:00.0 1 1G --force
shows rebar-smaller rebar rebar 60:00.0 0 256M
shows rebar-so-already rebar rebar 60:00.0 0 16G
no rebar-size 4 'it lists 256.0 MiB, 512.0 MiB' rebar rebar 12:00.0 0 3G
no rebar-no-size 4 "'big' is no size" rebar rebar 12:00.0 0 big
no rebar-bar 4 'of this card: 0' rebar rebar 12:00.0 5 1G
no rebar-no-bar 4 "'7' is no BAR" rebar rebar 12:00.0 7 1G
no rebar-pinned 5 'force takes away 0000:21:01.0 first' rebar rebar 22:00.0 1 16G
no rebar-beside 5 'berth doctor bar 0000:40:00.0' rebar rebar 40:00.0 0 16G --force
no rebar-asleep 5 'sleeps' rebar rebar 50:00.0 0 16G
no rebar-words 2 'a word is missing' rebar rebar 12:00.0 0
no rebar-many 2 'one word too many' rebar rebar 12:00.0 0 1G 2G

find "$D" -type f -exec md5sum {} + | sort -k2 >"$T/after"
if cmp -s "$T/before" "$T/after"; then ok "no machine folder was changed"; else fail "folders" "a machine folder was changed"; fi
[ "$failures" -eq 0 ]
