# Helpers of the cases that drive `berth device`, after lib.sh.
# shellcheck shell=dash

mkdir -p /etc /run/berth /var/lib

# What a verb may change: of each function its driver and what is asked of it; and the files that are ours to write.
state() {
	for d in "$PCI"/*; do
		a=${d##*/}
		echo "$a driver $(driver_of "$a")"
		for f in driver_override power/control d3cold_allowed; do
			[ ! -e "$d/$f" ] || sed "s|^|$a $f |" "$d/$f"
		done
	done
	find /etc /run/berth -type f -exec md5sum {} + | sort -k 2
}

# What a reset must leave as it is: ids, and where the registers are.
registers() {
	for a; do
		head -c 4 "$PCI/$a/config" | od -An -tx1
		cat "$PCI/$a/resource"
	done
}

# bound ADDRESS DRIVER
bound() {
	[ "$(driver_of "$1")" = "$2" ]
}

# drivers ADDRESS...: on one line
drivers() {
	for a; do
		driver_of "$a" || echo none
	done | tr '\n' ' '
}

# refuses NAME STATUS PATTERN COMMAND...: with one line, which has PATTERN
refuses() {
	what=$1 status=$2 pattern=$3
	shift 3
	exits "$what" "$status" "$@"
	has "$what: says so" "$pattern" $T/stderr
	is "$what: in one line" "$(wc -l <$T/stderr)" 1
}

# remember: the state that all that follows should come back to
remember() {
	state >$T/first
}

# as_first NAME
as_first() {
	state >$T/now
	is "$1" "$(diff $T/first $T/now)" ""
}

# taken_back NAME: by undo
taken_back() {
	exits "$1: undo" 0 berth device undo
	as_first "$1: all is as it was"
}

# hold GROUP ADDRESS: as a virtual machine does; its number in $holder
hold() {
	rm -f $T/held
	vfio_hold "$1" "$2" >$T/held 2>&1 3>&- &
	holder=$!
	wait_for 60 grep -q held $T/held || fail "vfio_hold" "$(cat $T/held)"
}

# let_go
let_go() {
	kill -9 "$holder"
	wait "$holder"
} 2>/dev/null

group_of() {
	g=$(readlink "$PCI/$1/iommu_group") && echo "${g##*/}"
}

# points COMMAND...: the calls before which it matters to be killed, each as "CALL NTH": those by which the journal is
# written (fsync, renameat), and the first child after each, which does what was written down. It is carried out.
points() {
	run strace -qq -o $T/calls -e trace=fsync,renameat,clone,clone3 "$@"
	grep '^[a-z]' $T/calls | awk -F'(' '{ n[$1]++ }
		$1 == "fsync" { begun = 1 }
		begun && ($1 !~ /^clone/ || last == "fsync") { print $1, n[$1] }
		{ last = $1 }'
}

# killed CALL NTH COMMAND...: by kill -9, right before its NTH call of that name; the kernel ends its children with it
killed() {
	call=$1 nth=$2
	shift 2
	run strace -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$nth" "$@"
}

# paused CALL NTH COMMAND...: it runs beside us, and stops at its NTH call of that name until resumed
paused() {
	call=$1 nth=$2
	shift 2
	rm -f $T/paused
	strace -qq -o $T/paused -e trace="$call" -e inject="$call:signal=STOP:when=$nth" "$@" >$T/paused.out 2>&1 </dev/null 3>&- &
	tracer=$!
	wait_for 60 grep -q 'stopped by SIGSTOP' $T/paused || fail "pause: $*" "$(cat $T/paused $T/paused.out)"
	tracee=$(sed -n "/^Pid:/h;/^TracerPid:.$tracer\$/{x;s/^Pid:.//p}" /proc/[0-9]*/status)
}

# resumed: and it has ended, with $rc
resumed() {
	kill -CONT "$tracee"
	wait $tracer
	rc=$?
}
