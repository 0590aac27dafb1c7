#!/bin/sh
# Prints a folder that holds a Debian kernel: vmlinuz, and modules/ with every module it has. The system's /boot
# is not touched (deb.sh).
#
#   LAB_KERNEL=PACKAGE  another kernel than Debian's newest for this release
set -eu
first=${LAB_KERNEL:-linux-image-amd64}
. tests/lab/deb.sh

# The package named, and those parts of a kernel it depends on. Up to Linux 6.x linux-image-amd64 needs one
# package with everything; later the kernel and its modules are two more.
closure() {
	todo=$1 all=
	while [ -n "$todo" ]; do
		p=${todo%% *}
		todo=$(echo "${todo#"$p"}" | sed 's/^ *//')
		case " $all " in *" $p "*) continue ;; esac
		all="$all $p"
		more=$(apt-cache depends "$p" 2>/dev/null |
			sed -n 's/^ *|\{0,1\}Depends: \(linux-\(image\|binary\|modules\)-.*\)/\1/p' | tr '\n' ' ')
		todo="$todo${todo:+ }${more% }"
	done
	# shellcheck disable=SC2086 # one word per package
	echo $all
}

# One place for what the releases keep in several: boot/vmlinuz-V or modules/V/vmlinuz; lib or usr/lib.
arrange() {
	modules=$(find "$tmp/all" -type d -path '*lib/modules/*' -prune | head -n 1)
	kernel=$(find "$tmp/all" -name 'vmlinuz*' -type f | head -n 1)
	[ -n "$modules" ] && [ -n "$kernel" ] || die "the packages of $first hold no kernel with modules"
	mkdir -p "$tmp/out/modules"
	mv "$kernel" "$tmp/out/vmlinuz"
	mv "$modules/kernel" "$modules/modules.builtin" "$tmp/out/modules/"
	basename "$modules" >"$tmp/out/release"
}

unpacked
