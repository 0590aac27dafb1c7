#!/bin/sh
# The kernel module on one kernel: kmod.sh KERNEL-FOLDER KDIR OUT. Builds it against KDIR, and runs the machine of
# cases/kmod with it.
#
#   KMOD_MACHINE=FOLDER  another machine
#   LAB_CYCLES=N         a function is N times taken away, too
#   KMOD_ROOT=FOLDER     which the machine gets by 9p, to be read
set -eu
kernel=$1 kdir=$2 out=$3
case=$out/case
mkdir -p "$out"
! command -v sparse >/dev/null || export KMOD_CHECK=1
if sh kmod/build.sh "$kdir" "$out/build" >"$out/build.log" 2>&1 && ! grep -E '/kmod/[a-z_]+\.[ch]:.* warning' "$out/build.log"; then
	# A kernel that finds it too old says so, and builds on.
	! grep -q 'sparse is not available or not up to date' "$out/build.log" || unset KMOD_CHECK
	echo "ok it builds without a warning${KMOD_CHECK:+, of sparse neither,} for Linux $(cat "$kernel/release")"
else
	echo "FAIL it builds for Linux $(cat "$kernel/release"): $(tail -n 5 "$out/build.log" | tr '\n' ' ')"
	exit 0
fi
if [ -z "${KMOD_MACHINE:-}" ]; then
	if sh kmod/check.sh "$kdir" >"$out/check" 2>/dev/null; then
		echo "ok its source is clean, as far as this kernel's headers can tell"
	else
		echo "FAIL its source is clean: $(head -n 5 "$out/check" | tr '\n' ' ')"
	fi
fi
cp -R "${KMOD_MACHINE:-tests/lab/cases/kmod/machine}" "$case"
sed -i "s|@TESTS@|$PWD/tests|" "$case/vm"
if [ -n "${LAB_CYCLES:-}" ]; then
	echo "$LAB_CYCLES" >"$case/long"
	echo "limit $((LAB_CYCLES * 20 + 6000))" >>"$case/vm"
fi
if [ -n "${KMOD_ROOT:-}" ]; then
	cat >>"$case/vm" <<-END
		-fsdev 'local,id=root,path=$KMOD_ROOT,security_model=none,readonly=on'
		-device virtio-9p-pci,addr=1d,fsdev=root,mount_tag=qemu
	END
fi
cp "$out/build/kmod/berth_vfio.ko" "$case/"
sh tests/lab/initramfs.sh "$kernel" "$(sh tests/lab/udev.sh)" "$out/initramfs"
python3 tests/lab/vm.py "$case" "$kernel" "$out/initramfs" "$out/vm" || echo "FAIL vm.py: broke"
