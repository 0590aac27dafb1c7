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
		fail "$name" "not within a minute; QEMU said: $answer"
	fi
}

# shot NAME: the probe's answer now
shot() {
	keeps "$1.json" berth probe --json
}

shot before
plug card bochs-display roomy
soon "a GPU is plugged, and has its driver" bound $gpu bochs-drm
shot plugged
bind $gpu vfio-pci
soon "it goes to vfio-pci" bound $gpu vfio-pci
shot rebound
plug big bochs-display tight
soon "another is plugged where there is no room for it" here $roomless
shot roomless
unplug card
soon "the first is unplugged" gone $gpu
unplug big
soon "the second too" gone $roomless
shot after
