#!/bin/sh
# SPDX-License-Identifier: MIT
# The real engine on three Vulkan devices, all of them lavapipe: an uneven split is proven layer by layer,
# and a core that does otherwise than planned is refused with exit code 7.
. tests/lib.sh
. tests/lib_lavapipe.sh
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" || fail "model" "modelgen failed"
limit=200
[ -z "${SAN:-}" ] || limit=700

launch() {
	run taskset -c "$cpu" timeout $limit "$BERTH" launch "$T/m.gguf" -c 512 --margin 1M "$@"
}
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2': $(head -c 600 "$T/err")"; fi
}
json() {
	python3 -c "import json,sys; o=json.load(open(sys.argv[1])); print($1)" "$T/out" 2>&1
}

run "$BUILD/libexec/berth/core" --list-devices --json
valid devices devices "$T/out"
is "three devices" 3 "$(json 'sum(d["backend"] == "vulkan" for d in o["devices"])')"
is "without an address" True "$(json 'all(d["device_id"] is None for d in o["devices"])')"

launch --device "$devices" --split 4,2,3 --prompt Hello -n 6 --json
is "runs" 0 "$rc"
valid launch launch "$T/out"
is "placement is proven" "proven fits" "$(json 'o["placement"] + " " + o["verdict"]')"
is "layers" "Vulkan0 4 4,Vulkan1 2 2,Vulkan2 3 3,CPU 0 0" \
	"$(json '",".join("%s %d %d" % (r["name"], r["layers_planned"], r["layers_found"]) for r in o["proof"])')"
is "weights and cache are exact on each" "True True True" \
	"$(json '" ".join(str(r["exact"]) for r in o["proof"][:3])')"
is "tokens" 6 "$(json 'o["generated_tokens"]')"
is "says what it took for granted" True "$(json 'any("Vulkan0" in a for a in o["plan"]["assumed"])')"

# the order of the devices is the user's, and host layers come first
launch --device Vulkan2,Vulkan0 --split 1,5 --accept spill --prompt Hello -n 2 --json
is "two of three, and the host" "0 Vulkan2 1,Vulkan0 5,CPU 3" \
	"$rc $(json '",".join("%s %d" % (r["name"], r["layers_found"]) for r in o["proof"])')"

# what a plan says of tensors by name and of the cache reaches the engine
run timeout $limit "$BERTH" launch "$T/m.gguf" -c 512 --margin 1M --device Vulkan0 --dry-run --json
python3 - "$T/out" "$T/named.json" <<'END'
import json
import sys
plan = json.load(open(sys.argv[1]))["plan"]
plan["tensors"] = [{"pattern": "ffn_up", "device": None}]
plan["flags"]["no_kv_offload"] = True
json.dump(plan, open(sys.argv[2], "w"))
END
run taskset -c "$cpu" timeout $limit "$BERTH" launch --plan "$T/named.json" --prompt Hello -n 2 --json
is "runs with tensors by name" 0 "$rc"
is "they are on the host, and so is the cache" "True 0" \
	"$(json '"%s %d" % (o["proof"][0]["measured"]["weights_bytes"] < o["proof"][0]["planned"]["weights_bytes"] - 2000000, o["proof"][0]["measured"]["kv_bytes"])')"

# a core that reads another split than the plan's: everything else is the real thing
tree=$T/tree
mkdir -p "$tree/bin" "$tree/libexec/berth" "$tree/lib"
ln -s "$PWD/$BUILD/lib/berth" "$tree/lib/berth"
cp "$BERTH" "$tree/bin/"
cp "$BUILD/libexec/berth/launch" "$tree/libexec/berth/"
cp "$BUILD/libexec/berth/core" "$tree/libexec/berth/core.real"
cat >"$tree/libexec/berth/core" <<'END'
#!/bin/sh
real=$(dirname "$0")/core.real
[ "$1" = --plan ] || exec "$real" "$@"
plan=$2
shift 2
sed 's/"layers": 4,/"layers": X,/; s/"layers": 2,/"layers": 4,/; s/"layers": X,/"layers": 2,/' "$plan" >"$plan.other"
exec "$real" --plan "$plan.other" "$@"
END
chmod +x "$tree/libexec/berth/core"
launch_other() {
	run taskset -c "$cpu" timeout $limit "$tree/bin/berth" launch "$T/m.gguf" -c 512 --margin 1M \
		--device "$devices" --split 4,2,3 --prompt Hello -n 6 "$@"
}
launch_other
is "another split is refused" 7 "$rc"
says "names layer and devices" "layer 2 was planned for Vulkan0, but the engine put it on Vulkan1"
is "no token" "" "$(cat "$T/out")"
one_sentence "one sentence"
is "the core is stopped" "" "$(readlink /proc/[0-9]*/exe 2>/dev/null | grep "$tree/libexec/berth/core.real")"
launch_other --json
is "refused in JSON" "7 placement refused 0" \
	"$rc $(json 'o["exit_class"], o["placement"], o.get("generated_tokens", 0)' | tr -d "(),'")"
valid refused launch "$T/out"
finish
