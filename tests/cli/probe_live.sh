# berth probe on a live machine with GPUs: a captured machine's /sys, mounted in a name space of our own,
# so that libpciaccess, hwloc and NVML (a fake one) are asked as on a real one.
. tests/lib.sh
. tests/live.sh
BERTH_NVML=$(realpath "$BUILD/tests/fake/lib_nvml.so")
export BERTH_NVML FAKE_NVML=ok

replays() {
	run "$BERTH" probe --machine "$T/cap-$1" --json
	cmp -s "$T/out" "$T/live.json" && ok "capture of live $1 replays" ||
		fail "capture of live $1 replays" "$(diff "$T/live.json" "$T/out" | head -n 5)"
}

for n in three nvidia2 asleep server; do
	prepare "$n"
	inside "live $n" 0 "$BERTH" probe
	cp "$T/out" "$T/$n.txt"
	[ -s "$T/err" ] && fail "live $n is quiet" "$(cat "$T/err")" || ok "live $n is quiet"
	inside "live $n --check" 0 "$BERTH" probe --check
	has "live $n agrees with libpciaccess and hwloc" 'disagreements: 0' "$T/out"
	inside "capture of live $n" 0 "$BERTH" probe -q --capture "$T/cap-$n" --json
	cp "$T/out" "$T/live.json"
	replays "$n"
	has "$n: libpciaccess's list is captured" '"listed": true' "$T/cap-$n/answers/pci.json"
done
has "a function held for a VM" 'vfio-pci, awake; held for a virtual machine' "$T/three.txt"
has "a function without a driver" 'none bound, awake; neither nvidia nor nouveau is loaded' "$T/three.txt"
has "libpciaccess compared BARs" '"bars"' "$T/cap-three/answers/pci.json"

# --- NVML ---
has "memory by NVML" '24.0 GiB on the card, 448.0 MiB used, 23.6 GiB free (nvml)' "$T/nvidia2.txt"
has "UUID by NVML" 'GPU-11111111-2222-3333-4444-555555555555' "$T/nvidia2.txt"
if grep -rq 'GPU-[16]' "$T/cap-nvidia2"; then
	fail "UUIDs are scrubbed" "$(grep -r 'GPU-[16]' "$T/cap-nvidia2")"
else
	ok "UUIDs are scrubbed"
fi
has "a sleeping one is not asked" 'memory *unknown (asleep)' "$T/asleep.txt"
has "nor its library" '"asked": false' "$T/cap-asleep/answers/nvml.json"
tree=$T/nvidia2
FAKE_NVML=crash inside "NVML crashes" 0 "$BERTH" probe
has "a crash is an unknown" 'memory *unknown (garbled)' "$T/out"
BERTH_NVML=/nonexistent inside "no NVML" 0 "$BERTH" probe
has "no library is said" 'memory *unknown (no library)' "$T/out"

FAKE_NVML=mig inside "MIG" 0 "$BERTH" probe
has "instances are listed" 'MIG *3g.20gb, 15.8 GiB free, MIG-aaaaaaaa-1111-2222-3333-444444444444' "$T/out"
FAKE_NVML=mig inside "capture with MIG" 0 "$BERTH" probe -q --capture "$T/cap-mig" --json
cp "$T/out" "$T/live.json"
valid "MIG" probe "$T/out"
has "its UUIDs are scrubbed" '"uuid": "MIG-00000000-0000-0000-0001-000000000000"' "$T/out"
replays mig
FAKE_NVML=lost inside "a lost device" 0 "$BERTH" probe --json
valid "a lost device" probe "$T/out"
has "is lost" '"vram_free_bytes_why": "lost"' "$T/out"
has "and the other one is not" '"vram_free_bytes": 24410849280' "$T/out"
FAKE_NVML=garbage inside "NVML talks nonsense" 0 "$BERTH" probe --json
valid "nonsense" probe "$T/out"
FAKE_NVML=unified inside "no memory of its own" 0 "$BERTH" probe
has "works in RAM" "memory *works in the machine's RAM" "$T/out"
# The fake driver says that the one who asks it uses the first card.
has "its processes are holders" 'held by *probe ([0-9]*) 3.8 GiB' "$T/nvidia2.txt"
has "without their names and numbers in a capture" '"name": "process"' "$T/cap-nvidia2/answers/procs.json"
has "that count from 1" '"pid": 1,' "$T/cap-nvidia2/answers/procs.json"

# --- who has a node open; only where /dev can be ours without showing outside ---
if [ "$ns" = 'unshare -Urm' ]; then
	tree=$T/three
	exits "live holders" 0 $ns sh -c 'mount --bind "$0/sys" /sys && mount -t tmpfs none /dev && mkdir /dev/dri &&
		: >/dev/null && : >/dev/dri/renderD128 || exit 9
		sleep 30 </dev/dri/renderD128 &
		"$@"; rc=$?; kill $!; exit $rc' "$tree" "$BERTH" probe -v
	has "a process that has a node open holds its GPU" 'held by .*sleep ([0-9]*)' "$T/out"
fi

# --- a container's limit is what we may use: 1 GiB, of which 600 MiB are used and 100 MiB give way ---
if grep -q '^0::' /proc/self/cgroup; then
	tree=$T/three
	own=$tree/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
	mkdir -p "$own"
	echo 1073741824 >"$own/memory.max"
	echo 629145600 >"$own/memory.current"
	printf 'anon 524288000\ninactive_file 104857600\nactive_file 0\n' >"$own/memory.stat"
	inside "in a container" 0 "$BERTH" probe
	has "the cgroup's limit counts" 'memory *1.0 GiB, 524.0 MiB available' "$T/out"
	rm -r "$T/cap-three"
	inside "capture in a container" 0 "$BERTH" probe -q --capture "$T/cap-three" --json
	cp "$T/out" "$T/live.json"
	replays three
fi

# --- no waking file is opened, by us or by a library ---
if command -v strace >/dev/null; then
	tree=$T/asleep
	# LeakSanitizer cannot work under strace.
	ASAN_OPTIONS=detect_leaks=0 inside "traced" 0 \
		strace -f -e trace=open,openat,openat2 -o "$T/trace" "$BERTH" probe
	# A name may be looked up without the right to read (O_PATH); c1:00.0 is awake.
	waking=$(grep -E '/(config|rom|vpd|max_link_width|current_link_[a-z]*|resource[0-9]_resize|secondary_bus_number)"' "$T/trace" |
		grep -v -e O_PATH -e '/0000:c1:00.0/')
	[ -z "$waking" ] && ok "no waking file is opened" || fail "no waking file is opened" "$waking"
	has "the trace saw the scan" '/resource"' "$T/trace"
	has "of the awake one it is" 'c1:00.0/config"' "$T/trace"
	# Even --check and --capture leave the sleeping ones alone.
	ASAN_OPTIONS=detect_leaks=0 inside "traced check" 0 \
		strace -f -e trace=open,openat,openat2 -o "$T/trace" "$BERTH" probe --check
	waking=$(grep -E '(03:00.0|05:00.0)/(config|rom|vpd|[a-z]*_link_[a-z]*|pp_dpm_[a-z]*|resource[0-9]_resize)"' "$T/trace" |
		grep -v O_PATH)
	[ -z "$waking" ] && ok "--check reads no config space of a sleeping device" ||
		fail "--check reads no config space of a sleeping device" "$waking"
	has "--check reads it of an awake one" 'c1:00.0/config"' "$T/trace"
fi
finish
