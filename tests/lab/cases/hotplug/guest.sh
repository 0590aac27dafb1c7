# shellcheck shell=dash
gpu=0000:01:00.0 roomless=0000:02:00.0
load bochs vfio_pci

here() {
	[ -e "$PCI/$1/resource" ]
}

gone() {
	[ ! -e "$PCI/$1" ]
}

bound() {
	[ "$(driver_of "$1")" = "$2" ]
}

# soon NAME COMMAND...: within a minute
soon() {
	name=$1
	shift
	if wait_for 60 "$@"; then
		ok "$name"
	else
		fail "$name" "not within a minute; QEMU said: ${answer:-nothing}"
	fi
}

# told EVENT ADDRESS: the watcher has said so. It looks again after each event: what comes next must wait.
told() {
	grep -q "\"event\":\"$1\",\"pci\":\"$2\"" /out/watch.jsonl
}

# shot NAME: the probe's answer now
shot() {
	keeps "$1.json" berth probe --json
}

# Its lines go to a file: one that were kept back until the end would be missed.
berth probe --watch --json >/out/watch.jsonl 2>/out/watch.err </dev/null 3>&- &
watcher=$!
soon "the watcher listens" listens $watcher
shot before

plug card bochs-display roomy
soon "a GPU is plugged, and has its driver" bound $gpu bochs-drm
soon "which is told" told bind $gpu
shot plugged

echo vfio-pci >$PCI/$gpu/driver_override
echo $gpu >$PCI/$gpu/driver/unbind
soon "its driver lets go, which is told" told unbind $gpu
bind $gpu vfio-pci
soon "it goes to vfio-pci" bound $gpu vfio-pci
shot rebound

plug big bochs-display tight
soon "another is plugged where there is no room for it" here $roomless
shot roomless
exits "doctor calls that an error" 1 berth doctor --json
cp $T/stdout /out/doctor.json
keeps bar.txt berth doctor bar $roomless

unplug card
soon "the first is unplugged" gone $gpu
soon "which is told" told vanish $gpu
unplug big
soon "the second too" gone $roomless
soon "which is told" told vanish $roomless
shot after

kill $watcher
wait $watcher
is "the watcher ends as asked" $? 0
