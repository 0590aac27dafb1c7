# shellcheck shell=dash
#
# kill -9 at each point of what a verb does: the next call puts it right, and undo takes it back.
. /lab/device.sh
card=0000:01:00.0 disk=0000:02:00.0
load vfio_pci nvme
wait_for 60 test -b /dev/nvme0n1 || fail "the disk is there" "$(ls /dev)"

# wrong WORDS: noted for the point at hand
wrong() {
	bad="$bad [$call $nth] $(echo "$*" | tr '\n' ' ')"
}

# one_point COMMAND...: killed at `call` and `nth`. Half of the time the same is asked again, half of the time undo comes
# next: what it finds broken it brings to an end first, and if that was to take it back, nothing is left to it.
one_point() {
	killed "$call" "$nth" "$@"
	[ $rc -eq 137 ] || wrong "was not killed: $rc"
	if [ $((n % 2)) -eq 0 ]; then
		run "$@"
		[ $rc -eq 0 ] || [ "$rc $3" = "1 eject" ] || wrong "again: $rc $(cat $T/stderr)"
	fi
	run berth device undo
	[ $rc -le 1 ] || wrong "undo: $rc $(cat $T/stderr)"
	state >$T/now
	cmp -s $T/first $T/now || wrong "$(diff $T/first $T/now | grep '^[+-][^+-]')"
}

# broken_off NAME COMMAND...
broken_off() {
	thing=$1
	shift
	points "$@" >$T/points
	is "$thing, whole" "$rc $(cat $T/stderr)" "0 "
	taken_back "$thing, whole"
	n=0 bad=
	while read -r call nth; do
		n=$((n + 1))
		one_point "$@"
	done <$T/points
	is "$thing, killed at each of its points" "$bad" ""
	if [ $n -ge 10 ]; then ok "$thing: it has points"; else fail "$thing: it has points" "$(cat $T/points)"; fi
}

remember
broken_off "bind for good" berth device bind $disk vfio-pci --any --persist
broken_off "eject" berth device eject $card --any
keeps journal.txt berth device journal
