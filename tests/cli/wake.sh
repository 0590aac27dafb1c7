#!/bin/sh
# SPDX-License-Identifier: MIT
# Which GPUs a launch wakes: those it will use. A laptop's captured /sys with a GPU of AMD's and one of NVIDIA's asleep
# is mounted in a name space of its own; the core is a fake that wakes what it enumerates, as drivers do.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/launch" ] || skip "launch was not built"
unshare -rm true 2>/dev/null || skip "no name space can be made here"
b=$T/b
mkdir -p "$b/bin" "$b/libexec/berth" "$T/run" "$T/state"
cp "$BUILD/bin/berth" "$b/bin/"
cp "$BUILD/libexec/berth/launch" "$b/libexec/berth/"
cp tests/fake/core.py "$b/libexec/berth/core"
chmod +x "$b/libexec/berth/core"
export BERTH_RUNTIME_DIR="$T/run" BERTH_STATE_DIR="$T/state" FAKE_CORE="$T/core" FAKE_DEVICES="$T/devices"
export XDG_CACHE_HOME="$T/cache"
chmod 700 "$T/run" "$T/state"
unset CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES VK_DRIVER_FILES VK_ICD_FILENAMES VK_LOADER_DRIVERS_SELECT
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" || fail model "modelgen failed"
amd=0000:03:00.0 nvidia=0000:05:00.0 integrated=0000:c1:00.0
echo "ROCm0@$amd@rocm@radeon Vulkan0@$amd@vulkan@radeon CUDA0@$nvidia@cuda@nvidia Vulkan1@$nvidia@vulkan@nvidia \
Vulkan2@$integrated@vulkan@radeon" >"$T/devices"
echo serve >"$T/core"

# is NAME WANT GOT
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2': $(head -c 400 "$T/err")"; fi
}
# on_laptop ARGUMENTS...: a launch with everything asleep before it
on_laptop() {
	rm -rf "$T/m" "$T"/core.*
	cp -R "$(machine asleep)" "$T/m"
	echo suspended >"$T/m/sys/bus/pci/devices/$nvidia/power/runtime_status"
	run unshare -rm sh -c 'mount --rbind "$0/sys" /sys && exec "$@"' "$T/m" "$b/bin/berth" launch "$T/m.gguf" "$@"
}
# asleep PCI: yes or no, afterwards
asleep() {
	case $(cat "$T/m/sys/bus/pci/devices/$1/power/runtime_status") in active) echo no ;; *) echo yes ;; esac
}
# listing EXPRESSION: of the n-th request for devices, o; "none" when there was none
listing() {
	python3 -c 'import json,sys
lists = [json.loads(l) for l in open(sys.argv[1])]
o = lists[int(sys.argv[2]) - 1]
print(eval(sys.argv[3]))' "$T/core.lists" "$1" "$2" 2>&1
}
json() {
	python3 -c "import json,sys; o=json.load(open(sys.argv[1])); print($1)" "$T/out" 2>&1
}
asked='" ".join(o["argv"][i + 1] for i, a in enumerate(o["argv"]) if a == "--backend")'

on_laptop --device $amd --dry-run --json
is "one is named" 0 "$rc"
is "the other sleeps on" "no yes" "$(asleep $amd) $(asleep $nvidia)"
is "its driver is not loaded" "rocm vulkan opencl *radeon*,*amd*" "$(listing 1 "$asked + ' ' + o['env']['VK_LOADER_DRIVERS_SELECT']")"
is "nor by the core that computes" "*radeon*,*amd*" "$(json 'o["env"]["VK_LOADER_DRIVERS_SELECT"]')"
is "the plan is on it" "$amd rocm" "$(json 'o["plan"]["devices"][0]["pci"] + " " + o["plan"]["devices"][0]["backend"]')"

on_laptop --device $nvidia --dry-run --json
is "the other one is named" 0 "$rc"
is "now the first sleeps on" "yes no" "$(asleep $amd) $(asleep $nvidia)"
is "what the engine says is planned with" "$((8 << 30))" "$(json 'o["plan"]["devices"][0]["free_bytes"]')"

on_laptop --dry-run --json
is "none is named" 0 "$rc"
is "and one is enough" "no yes" "$(asleep $amd) $(asleep $nvidia)"
is "which is asked for alone" "1 rocm vulkan opencl" "$(grep -c . "$T/core.lists") $(listing 1 "$asked")"

on_laptop --split 4,5 --dry-run --json
is "two are needed" 0 "$rc"
is "two are woken" "no no" "$(asleep $amd) $(asleep $nvidia)"

VK_DRIVER_FILES=/x/radeon.json on_laptop --device $amd --dry-run --json
is "the user chose Vulkan's drivers" "None" "$(listing 1 'o["env"].get("VK_LOADER_DRIVERS_SELECT")')"
finish
