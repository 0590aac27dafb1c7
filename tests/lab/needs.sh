# What cases need that not every system has. Sourced by their host.sh: what is lacking ends the case as skipped, with the reason.
# shellcheck shell=sh disable=SC2034 # what is set is for them

skip() {
	echo "$*"
	exit 77
}

# needs_qemu: one that speaks vfio-user, in the root file system $root
needs_qemu() {
	[ "$(id -u)" = 0 ] || skip "a root file system with QEMU wants root"
	command -v mmdebstrap >/dev/null || skip "QEMU comes from Debian's backports by mmdebstrap, which is not here"
	root=$(sh tests/lab/qemu.sh) || skip "there is no QEMU that speaks vfio-user to be had"
}

# needs_vm_of_it: machines of vm.py run in that QEMU
needs_vm_of_it() {
	needs_qemu
	LAB_QEMU=$(sh tests/lab/qemu_words.sh "$root")
	export LAB_QEMU
}

# needs_headers: the lab's kernel, and what a module of it is built with
needs_headers() {
	kernel=$(sh tests/lab/kernel.sh)
	headers=$(sh tests/lab/headers.sh "$kernel") || skip "no headers of Linux $(cat "$kernel/release") to build a module with"
}

# needs_own: the kernel of ours, which takes long to build
needs_own() {
	[ -n "${LAB_OWN:-}" ] || skip "builds a kernel; LAB_OWN=1 runs it"
	kernel=$(sh tests/lab/own_kernel.sh) || skip "no kernel of our own"
	headers=$kernel
}
