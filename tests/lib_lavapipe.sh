# Sourced by tests of the real engine on three Vulkan devices, all of them lavapipe. Needs tests/lib.sh; skips where
# there is no engine, no Vulkan backend or no lavapipe. Sets $cpu and $devices.
# shellcheck shell=sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
[ -e "$BUILD/lib/berth/libggml-vulkan.so" ] || skip "the engine was fetched without its Vulkan backend"
icd=$(ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null | head -n 1)
[ -n "$icd" ] || skip "lavapipe is not installed (mesa-vulkan-drivers)"
# only lavapipe, three times; its compiled shaders are kept, and shared by all builds: the first run
# takes 10 to 25 s, and minutes when a sanitizer's allocator is under the compiler
export VK_DRIVER_FILES="$icd" VK_ICD_FILENAMES="$icd" GGML_VK_VISIBLE_DEVICES=0,0,0
export XDG_CACHE_HOME="$PWD/build/shader-cache" MESA_SHADER_CACHE_DIR="$PWD/build/shader-cache"
mkdir -p "$XDG_CACHE_HOME"
export BERTH_RUNTIME_DIR="$T/run"
mkdir -m 700 "$T/run"
# the first processor that we may use
# shellcheck disable=SC2034
cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' /proc/self/status)
# shellcheck disable=SC2034
devices=Vulkan0,Vulkan1,Vulkan2
