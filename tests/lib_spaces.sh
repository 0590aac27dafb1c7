# Sourced by tests that lay a captured machine over /proc and /sys. Needs tests/lib.sh.
# shellcheck shell=sh

# own_spaces [n]: a name space of mounts, with n one of the network too, for $ns sh -c "$private; ..."; a
# user name space needs no root, but a kernel refuses one to a chroot. There root needs only the mounts, and
# makes /proc and /sys private first, or what is mounted would show outside.
# shellcheck disable=SC2034
own_spaces() {
	private='mount --make-rprivate /proc && mount --make-rprivate /sys'
	mounts='mount -t tmpfs none /proc/driver'
	if unshare "-Ur${1:-}m" sh -c "$mounts" 2>/dev/null; then
		ns="unshare -Ur${1:-}m" private=:
	elif unshare "-${1:-}m" --propagation unchanged sh -c "$private && $mounts" 2>/dev/null; then
		ns="unshare -${1:-}m --propagation unchanged"
	else
		skip "name spaces with mounts are not allowed here"
	fi
}
