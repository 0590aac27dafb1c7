#!/bin/sh
# The lab: real kernels in emulated machines with the hardware that a test machine lacks, and a real Slurm. run.sh [CASE...]
# runs all cases or those named, and ends with one line that CI reads.
#
#   run.sh        this: the order, the limits, the summary
#   kernel.sh     a Debian kernel and its modules, by apt, kept in the cache (deb.sh); udev.sh: the udev daemon
#   own_kernel.sh  a kernel of our own, with own.config, for cases of the night; suites.sh: other releases' packages
#   modules.py    those modules a guest loads, with what they depend on
#   qemu.sh       a root with a QEMU that speaks vfio-user, from backports, kept in the cache (suites.sh)
#   qemu_words.sh  the same, as words that run it where it lies
#   needs.sh      what host.sh of a case may need beyond the system, or it is skipped
#   qtest.sh      a script that drives that QEMU without a guest (qtest.py)
#   served.sh     a guest of that QEMU with devices that `berth bridge` serves (bridges.py), and a driver for them (driver.sh, driver/)
#   initramfs.sh  the guests' file system: busybox, our programs with their libraries, the modules
#   vfio.sh       the machine of bridge-vfio on a kernel
#   kmod.sh       the kernel module on a kernel: build, and run; headers.sh: what it is built against
#   inner.sh      a Linux for a machine inside of a case's (inner/: what runs there, and what boots it); inner_data.sh: what it reads
#   selftests.sh  the kernel's own tests of VFIO, built and kept in the cache
#   debug.config  what own.config lacks for a kernel that looks for bugs
#   vm.py         boots one case in QEMU, plugs what it asks for, collects its results (qmp.py: the protocol)
#   guest/        what runs in a guest before and around its script; device.sh: helpers of the device-* cases
#   lab.py        helpers of the checks on the host
#   cases/NAME/   one machine and what is asked of it:
#       vm        the machine (the head of vm.py says how it is written)
#       guest.sh  runs in the guest, with guest/lib.sh; what it leaves in /out comes to the host
#       check.py  optional: runs on the host and judges what came
#       host.sh   in place of all these: a case that needs no machine; 77 and a reason when it cannot be run here
#
# SAN=asan or tsan (make's, too): our programs are built with a sanitizer, and what any process of them finds fails the case
# (tests/sanitizers.sh).
#
# No case looks at how long something took: the host may be busy. Emulation is used even where /dev/kvm
# exists, so that every machine runs the same thing. A case that needs an acceleration to be bearable is
# the wrong case.
set -u
: "${BUILD:=build}"
BUILD=$(realpath --relative-to=. "$BUILD")
STRICT=${STRICT:-}
export LC_ALL=C BUILD PYTHONDONTWRITEBYTECODE=1
export BERTH="$PWD/$BUILD/bin/berth"
unset BERTH_RUNTIME_DIR COLUMNS LINES NO_COLOR
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
. tests/sanitizers.sh
passed=0 failed=0 skipped=0

broken() {
	echo "FAIL  lab: $1"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

# What this system lacks, which STRICT=1 does not let pass.
unable() {
	[ -z "$STRICT" ] || broken "$1"
	echo "skip  lab: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

count() {
	grep -c "^$1 " "$out/$2.log"
}

# What cannot be done here; under STRICT only if tests/skips says why that is right.
case_skipped() {
	if [ -n "$STRICT" ] && ! awk -v n="lab/$1" '$1 == n { found = 1 } END { exit !found }' tests/skips; then
		echo "FAIL $1: skipped, and tests/skips does not list it: $(tail -n 1 "$out/$1.log")" >>"$out/$1.log"
		return 1
	fi
	skipped=$((skipped + 1))
	printf 'skip  lab/%-24s %s\n' "$1" "$(tail -n 1 "$out/$1.log")"
}

# Failures are shown, passed tests counted.
case_run() {
	name=$1 start=$(date +%s)
	if [ -e "tests/lab/cases/$name/host.sh" ]; then
		sh "tests/lab/cases/$name/host.sh" "$out/$name" >"$out/$name.log" 2>&1 </dev/null
		rc=$?
		[ $rc -ne 77 ] || { case_skipped "$name" && return; }
		[ $rc -eq 0 ] || echo "FAIL host.sh: exit $rc" >>"$out/$name.log"
	else {
		python3 tests/lab/vm.py "tests/lab/cases/$name" "$kernel" "$out/initramfs" "$out/$name" || echo "FAIL vm.py: broke"
		if [ -e "tests/lab/cases/$name/check.py" ] && [ -d "$out/$name/files" ]; then
			PYTHONPATH=tests/lab python3 "tests/lab/cases/$name/check.py" "$out/$name" || echo "FAIL check.py: broke"
		fi
	} >"$out/$name.log" 2>&1 </dev/null; fi
	sanitizers_found >"$out/found.log" && { echo "FAIL sanitizer: it found something" && cat "$out/found.log"; } >>"$out/$name.log"
	good=$(count ok "$name") bad=$(count FAIL "$name")
	[ "$good" -eq 0 ] && [ "$bad" -eq 0 ] && bad=1 && echo "ran no test" >>"$out/$name.log"
	passed=$((passed + good)) failed=$((failed + bad))
	verdict=ok
	[ "$bad" -eq 0 ] || verdict=FAIL
	printf '%-5s lab/%-24s %3d  %3d s\n' "$verdict" "$name" "$good" $(($(date +%s) - start))
	grep -v '^ok ' "$out/$name.log" | head -n 80 | sed 's/^/    /'
	rm -rf "${out:?}/$name"
}

case $(uname -m) in x86_64) ;; *) unable "its machines and kernels are for x86-64" ;; esac
for tool in qemu-system-x86_64 busybox cpio zstd iasl lspci setpci strace ldd python3; do
	PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || unable "no $tool; base/deps/packages.sh lab installs it"
done
kernel=$(sh tests/lab/kernel.sh) || unable "no kernel for the guests"
udev=$(sh tests/lab/udev.sh) || unable "no udev for the guests"
sh tests/lab/initramfs.sh "$kernel" "$udev" "$out/initramfs" || broken "no file system for the guests"
echo "lab: Linux $(cat "$kernel/release"), $(qemu-system-x86_64 --version | sed -n '1s/ (.*//p')"
[ $# -gt 0 ] || set -- tests/lab/cases/*/
for c; do
	c=$(basename "$c")
	[ -d "tests/lab/cases/$c" ] || { echo "no case is named $c" && exit 2; }
	case_run "$c"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
