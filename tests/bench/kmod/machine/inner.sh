# shellcheck shell=dash
# Both through a monitor: a stock QEMU whose vfio-pci is told to trap (x-no-mmap=on) on the stock driver, and is not told on
# ours; inner.S is all that runs in it.
load 9pnet_virtio 9p
mkdir -p /q
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=524288,ro qemu /q || fail "QEMU's folder" "is not mounted"
for m in dev proc sys; do mount --bind /$m /q/$m; done
mount -t tmpfs tmp /q/tmp
cp /case/inner /q/tmp/
bind $OURS berth_vfio
echo trap >$PCI/$OURS/berth/bar0_mode
bind $STOCK vfio-pci
chroot /q qemu-system-x86_64 -display none -nodefaults -machine pc -m 64 -accel tcg,thread=single -bios /tmp/inner \
	-chardev file,id=o,path=/tmp/told -device isa-debugcon,iobase=0xe9,chardev=o -device isa-debug-exit,iobase=0xf4,iosize=1 \
	-device "vfio-pci,host=$OURS,addr=4" -device "vfio-pci,host=$STOCK,addr=5,x-no-mmap=on" >$T/qemu.log 2>&1 </dev/null 3>&-
# The first rounds are those in which QEMU translates what it runs.
mhz=$(sed -n 's/^cpu MHz[^:]*: //p' /proc/cpuinfo | head -n 1)
[ ! -e /case/counted ] || mhz=1000
od -An -v -tu4 -w16 /q/tmp/told | awk -v mhz="$mhz" '
	NR <= 4 { next }
	{ for (i = 1; i <= 4; i++) $i = $i / mhz * 1000 / 200 }
	NR % 2 { print "read", $1, $2; print "write", $3, $4; next }
	{ print "read", $2, $1; print "write", $4, $3 }' >$T/inner
[ "$(grep -c read $T/inner)" = 56 ] || fail "a machine in this one ends well" "$(cat $T/qemu.log)"
for what in read write; do
	# shellcheck disable=SC2046 # numbers
	set -- $(sed -n "s/^$what //p" $T/inner | medians)
	row "a $what through QEMU, against its x-no-mmap=on" "$1" "$2" $unit "$3" 1.05
done
