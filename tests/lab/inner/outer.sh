# What boots a Linux inside of a lab's guest, after lib.sh: a QEMU of 9p, in its root at /qemu, which sees /run as /srv.
# inner.sh has made /case/inner; init is what runs there.
# shellcheck shell=dash

# inner_begin: once
inner_begin() {
	load 9p 9pnet_virtio
	mkdir -p /qemu /run
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 qemu /qemu || fail "QEMU's folder" "is not mounted"
	for m in dev proc sys; do mount --bind /$m /qemu/$m; done
	mount -t tmpfs tmp /qemu/tmp
	mount --bind /run /qemu/srv
	mv /case/inner/vmlinux /case/inner/initramfs /run/
}

# inner NAME WORDS OPTION...: boots it with these words for its kernel, and with these options of QEMU's; its results are ours
inner() {
	i_name=$1 i_words=$2
	shift 2
	rm -f /run/console /run/results
	chroot /qemu qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -accel tcg,thread=single -cpu max \
		-kernel /srv/vmlinux -initrd /srv/initramfs -append "console=ttyS0 panic=-1 quiet no_timer_check $i_words" \
		-serial file:/srv/console -serial file:/srv/results "$@" >/run/qemu.log 2>&1 </dev/null 3>&-
	is "$i_name: QEMU ends" $? 0
	tr -d '\r' </run/results | sed -n "s/^\(ok\|FAIL\) /&$i_name: /p" >&3
	grep -q '^done' /run/results || fail "$i_name: the inner Linux comes to its end" \
		"$(tail -n 3 /run/qemu.log) $(tail -n 8 /run/console)"
	is "$i_name: its kernel is well" "$(grep -E 'WARNING|BUG:|Call Trace|Kernel panic' /run/console)" ""
}

# served NAME VENDOR:DEVICE: by a bridge at /run/NAME, in a log beside it
served() {
	s_device=$(lspci -D -d "$2" | sed 's/ .*//')
	exits "$1: attach" 0 berth bridge attach "$s_device" --any
	berth bridge serve "$s_device" --socket "/run/$1" -v >"/run/$1.log" 2>&1 </dev/null 3>&- &
	echo $! >"/run/$1.pid"
	wait_for 60 grep -q 'waits for a client' "/run/$1.log" || fail "$1: serve" "$(cat "/run/$1.log")"
}

# served_ends NAME
served_ends() {
	s_pid=$(cat "/run/$1.pid")
	kill "$s_pid"
	wait "$s_pid"
	is "$1: the bridge ends" "$? $(grep -c 'lost' "/run/$1.log")" "0 0"
	cp "/run/$1.log" /out/
}

# by NAME: what QEMU needs for it
by() {
	echo '{"driver": "vfio-user-pci", "x-msg-timeout": 60000, "socket": {"type": "unix", "path": "/srv/'"$1"'"}}'
}
