# shellcheck shell=dash
# berth_vfio beside stock vfio-pci, a device each. A figure goes to the host as "ok row NAME|OURS|STOCK|UNIT|RATIO|GOAL" (run.sh
# shows them). With /case/counted a nanosecond of this machine is an instruction, and a cycle (QEMU's -icount).
OURS=0000:00:02.0 STOCK=0000:00:03.0
unit=ns rounds=101 n=200
[ ! -e /case/counted ] || unit=instructions rounds=11 n=1000

# row NAME OURS STOCK UNIT RATIO GOAL. A busy host disturbs times by more than what is looked for, so instructions alone meet or
# miss a goal.
row() {
	[ -e /case/counted ] || set -- "$1" "$2" "$3" "$4" "$5" ""
	ok "row $1|$2|$3|$4|$5|$6"
}
group() {
	basename "$(readlink "$PCI/$1/iommu_group")"
}
# beside MODE: times of accesses by both, in $T/times; berth_vfio in that mode
beside() {
	bind $OURS berth_vfio
	echo "$1" >$PCI/$OURS/berth/bar0_mode
	clocked
}
clocked() {
	vfio_time 0 4 $n $rounds "$(group $OURS)" $OURS "$(group $STOCK)" $STOCK >$T/times 2>&1 3>&- ||
		fail "accesses by both" "$(cat $T/times)"
}
# figure NAME WHAT GOAL: of $T/times
figure() {
	name=$1 goal=${3:-}
	# shellcheck disable=SC2046 # numbers
	set -- $(sed -n "s/^$2 //p" $T/times)
	row "$name" "$1" "$2" $unit "$3" "$goal"
}
# medians: of lines "OURS STOCK": each's, and that of the ratios
medians() {
	awk 'function median(v, n,   i, j, x) {
		for (i = 2; i <= n; i++) {
			x = v[i]
			for (j = i - 1; j > 0 && v[j] > x; j--) v[j + 1] = v[j]
			v[j + 1] = x
		}
		return v[int((n + 1) / 2)]
	}
	{ ours[NR] = $1; stock[NR] = $2; ratio[NR] = $2 ? $1 / $2 : 0 }
	END { printf "%.1f %.1f %.4f\n", median(ours, NR), median(stock, NR), median(ratio, NR) }'
}

load vfio_pci vfio_iommu_type1
insmod /case/berth_vfio.ko || fail "the module loads" "see the console"
bind $STOCK vfio-pci
bind $OURS vfio-pci
clocked
figure "a read, stock against itself" read
figure "a write, stock against itself" write
beside trap
figure "a trapped read" read 1.05
figure "a trapped write" write 1.05
if [ -e /case/counted ]; then
	echo 'deny 0 0x100-0x1ff' >$PCI/$OURS/berth/policy
	clocked
	figure "... a read, with a rule for the BAR" read
	awk 'BEGIN { for (i = 0; i < 64; i++) printf "deny 0 0x%x-0x%x\n", 256 + i * 16, 263 + i * 16 }' >$T/rules
	cat $T/rules >$PCI/$OURS/berth/policy
	clocked
	figure "... a read, with 64 rules for it" read
	echo >$PCI/$OURS/berth/policy
	echo 1 >$PCI/$OURS/berth/timing
	clocked
	figure "... a read that is timed" read
	echo 0 >$PCI/$OURS/berth/timing
fi
beside map
figure "a mapped read" map 1.00
if echo revocable >$PCI/$OURS/berth/bar0_mode 2>/dev/null; then
	clocked
	figure "a mapped read, revocable" map 1.00
fi
# shellcheck source=tests/bench/kmod/machine/revoke.sh
[ -e /case/counted ] || . /case/revoke.sh
# shellcheck source=tests/bench/kmod/machine/inner.sh
[ ! -e /case/inner ] || . /case/inner.sh
