# berth probe --wake: the numbers that the compute interfaces themselves give, from fakes of three of them
# and from the real Vulkan loader with Mesa's software driver, which has no PCI address.
. tests/lib.sh
. tests/lib_spaces.sh
own_spaces
fake=$(realpath "$BUILD/tests/fake/lib_compute.so")
BERTH_NVML=$(realpath "$BUILD/tests/fake/lib_nvml.so")
mkdir "$T/lib"
for n in libcuda.so.1 libamdhip64.so.6 libze_loader.so.1; do
	ln -s "$fake" "$T/lib/$n"
done
export BERTH_NVML FAKE_NVML=ok LD_LIBRARY_PATH="$T/lib"
VK_ICD_FILENAMES=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1)
export VK_ICD_FILENAMES
unset VK_DRIVER_FILES

# inside MACHINE NAME COMMAND...: exit 0 with the machine as /sys and a loaded NVIDIA driver
inside() {
	tree=$(realpath "$(machine "$1")") name=$2
	shift 2
	exits "$name" 0 $ns sh -c "$private"' && mount --bind "$0/sys" /sys && mount -t tmpfs none /proc/driver &&
		mkdir /proc/driver/nvidia && exec "$@"' "$tree" "$@"
}
# index PCI KEY VALUE SRC: of the last JSON
index() {
	python3 - "$T/out" "$@" <<'P' && ok "$1 $2 is $3 by $4" || fail "$1 $2 is $3 by $4" "$(grep -A40 '"index"' "$T/out" | head -60)"
import json, sys
path, pci, key, value, src = sys.argv[1:]
i = next(g["index"] for g in json.load(open(path))["gpus"] if g["pci"] == pci)
got = (str(i[key]), i.get(key + ("_why" if i[key] is None else "_src")))
sys.exit(got != (value, src) and f"{got}")
P
}

FAKE_COMPUTE=0000:61:00.0,0000:41:00.0
export FAKE_COMPUTE
inside nvidia2 "nothing is asked unbidden" "$BERTH" probe --json
index 0000:61:00.0 cuda 1 table
inside nvidia2 "CUDA" env CUDA_VISIBLE_DEVICES=9 "$BERTH" probe --wake --json
index 0000:61:00.0 cuda 1 api
index 0000:61:00.0 cuda_fastest 0 api
index 0000:41:00.0 cuda_fastest 1 api
index 0000:41:00.0 hip None "not applicable"
valid "with the interfaces" probe "$T/out"
if [ -n "$VK_ICD_FILENAMES" ]; then
	# The loader answered, and what it listed is no GPU of the bus: the guess is refuted.
	index 0000:41:00.0 vulkan None "not exported"
fi
FAKE_COMPUTE=0000:af:00.0,0000:d8:00.0,0000:3b:00.0 inside twosocket "HIP and Level Zero" \
	env ROCR_VISIBLE_DEVICES=0 ZE_AFFINITY_MASK=9 "$BERTH" probe --wake --json
index 0000:3b:00.0 hip 2 api
index 0000:d8:00.0 hip 1 api
index 0000:af:00.0 level_zero 1 api
FAKE_COMPUTE=crash inside nvidia2 "a library that crashes" "$BERTH" probe --wake --json
index 0000:61:00.0 cuda 1 table
FAKE_COMPUTE=none inside nvidia2 "a library without devices" "$BERTH" probe --wake --json
index 0000:61:00.0 cuda None "not exported"
LD_LIBRARY_PATH=/nonexistent inside nvidia2 "no library" "$BERTH" probe --wake --json
index 0000:61:00.0 cuda 1 table

inside nvidia2 "capture" "$BERTH" probe -q --wake --capture "$T/cap" --json
cp "$T/out" "$T/live.json"
run "$BERTH" probe --machine "$T/cap" --json
cmp -s "$T/out" "$T/live.json" && ok "capture replays" || fail "capture replays" "$(diff "$T/live.json" "$T/out" | head -n 5)"
if [ -n "$VK_ICD_FILENAMES" ]; then
	grep -q '"driver_id": 13' "$T/cap/answers/api.json" && ok "the real loader answered" ||
		fail "the real loader answered" "$(cat "$T/cap/answers/api.json")"
fi
finish
