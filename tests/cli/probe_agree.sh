# The probe's scan against libpciaccess, libdrm, lspci and hwloc, on the same trees: who reads the same files
# must see the same GPUs. tests/agree.py has the differences that are nobody's fault.
. tests/lib.sh
. tests/live.sh
SHIM=$(realpath "$BUILD/tests/fake/lib_drm_shim.so")
ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}
export ASAN_OPTIONS DRM_SHIM_DEV

# complete: what the others read of $tree beyond what the probe does
complete() {
	python3 tests/complete.py "$tree"
	DRM_SHIM_DEV=$tree/dev
}

for n in $(find tests/machines "$BUILD/tests/machines" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort); do
	[ "$n" = badfiles ] && continue # what no kernel writes
	[ -d "$(machine "$n")/sys" ] || continue
	prepare "$n"
	complete
	inside "$n" 0 env LD_PRELOAD="$SHIM" "$BERTH" probe -q --json --capture "$T/cap-$n"
	cp "$T/out" "$T/probe.json"
	# libpciaccess and drmGetDevices2, inside the probe itself. Its hwloc sees the CPUs of this very machine,
	# so what it says of places is no answer; lstopo reads them from the tree below.
	run "$BERTH" probe --machine "$T/cap-$n" --check
	has "$n: --check compared" '^functions: ' "$T/out"
	other=$(grep -v '^functions: \|NUMA node: .*hwloc places' "$T/out")
	[ -z "$other" ] && ok "$n agrees with libpciaccess and libdrm" || fail "$n agrees with libpciaccess and libdrm" "$other"
	run lspci -A linux-sysfs -O sysfs.path="$tree/sys/bus/pci" -Dvmmnn
	[ "$rc" -eq 0 ] || grep -q 'Invalid domain' "$T/err" || fail "$n: lspci" "$(cat "$T/err")"
	cp "$T/out" "$T/lspci.txt"
	HWLOC_FSROOT=$tree HWLOC_COMPONENTS=linux,stop lstopo-no-graphics --whole-io --of xml >"$T/lstopo.xml" 2>"$T/err" ||
		fail "$n: lstopo" "$(cat "$T/err")"
	exits "$n agrees with lspci, hwloc and libdrm" 0 python3 tests/agree.py "$T/probe.json" "$T/lspci.txt" \
		"$T/lstopo.xml" "$T/cap-$n/answers/drm.json"
	[ "$rc" -eq 0 ] || cat "$T/out"
	# The comparison sees what is planted.
	[ "$n" = nouveau ] || continue
	sed 's/"device": "0x1b80"/"device": "0x1b81"/' "$T/probe.json" >"$T/planted.json"
	exits "a planted id is seen" 1 python3 tests/agree.py "$T/planted.json" "$T/lspci.txt" "$T/lstopo.xml" \
		"$T/cap-$n/answers/drm.json"
done
finish
