# Helpers of the guests that have cards of memory, after lib.sh: their driver (labdrive.c) is used by these.
# shellcheck shell=dash

# use BUS NAME PORT: the card that all that follows is about, its bridge, and the port it hangs at
use() {
	card=0000:$1:00.0 dev=$PCI/0000:$1:00.0 served=$2 port=$3
}

# turn: which start of the machine this is, from 1 on, in $turn
turn() {
	say turn
	read -r turn <&3
}

# soon NAME COMMAND...
soon() {
	what=$1
	shift
	if wait_for 60 "$@"; then
		ok "$what"
	else
		fail "$what" "not within a minute; QEMU said: ${answer:-nothing}; the card: $(cat $dev/load 2>&1)"
	fi
}

# reads OFFSET: four bytes of BAR 0
reads() {
	echo "$1" >$dev/poke
	cat $dev/poke
}

# here: with a driver; absent
here() {
	[ -e $dev/load ]
}
absent() {
	[ ! -e $dev ]
}

# works WHEN [IRQS]: registers, DMA and interrupts (as many as and of which kind), in the driver's own words
works() {
	is "registers, $1" "$(cat $dev/regs)" ok
	is "DMA, $1" "$(cat $dev/dma)" ok
	is "interrupts, $1" "$(cat $dev/irqs)" "ok ${2:-9 msix}"
}

# busy MMIO MOVED: so much has been done
busy() {
	# shellcheck disable=SC2046 # words
	set -- $(cat $dev/load) "$@"
	[ "$2" -ge "$8" ] && [ "$4" -ge "$9" ]
}

# under_load: registers and DMA without a pause, from now on
under_load() {
	echo 1 >$dev/load
	soon "the card is kept busy" busy 200 3
}

seen_gone() {
	grep -q gone $dev/load
}

lost() {
	[ "$(bridge "$served" state)" = LOST ]
}

# pull: somebody takes the card away, in the middle of it all. The guest is there, and its driver has seen it.
pull() {
	under_load
	echo "ff0 1" >$dev/poke
	soon "the driver sees that the card is gone" seen_gone
	soon "the bridge sees it, too" lost
	is "what was read before was right" "$(cut -d ' ' -f 5-6 $dev/load)" "bad 0"
	is "it reads all-ones" "$(reads 0)" ffffffff
	echo 0 >$dev/load
}

again() {
	# shellcheck disable=SC2086 # plain names
	qmp '{"execute": "device_add", "arguments": {"driver": "vfio-user-pci", "id": "'$served'", "bus": "'$port'", "x-msg-timeout": 60000, "socket": {"type": "unix", "path": "OUT/'$served'.sock"}}}'
	case $answer in *'"return"'*) ;; *) return 1 ;; esac
}

# plug_again: as a card that comes back; it may take QEMU a moment to forget the first
plug_again() {
	soon "it can be plugged again" again
	soon "the system finds it" present
}

present() {
	[ -e $dev/resource ]
}
