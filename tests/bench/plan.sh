# berth plan: parse, one configuration, and a search on eight devices, for the development headers; beside them
# the engine's reader of headers, and the engine's own measure of one configuration (berth plan --verify).
set -u
: "${BUILD:=build}"
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cp "$BUILD"/tests/models/headers/*.gguf "$T/"
# The engine's reader wants to find the beginning of the data, even to read none.
truncate -s %4096 "$T"/*.gguf
"$BUILD/tests/bench/plan" "$T"/*.gguf || bad=1

# Milliseconds of the fastest of five runs.
fastest() {
	best=999999
	for _ in 1 2 3 4 5; do
		start=$(date +%s%N)
		"$@" >/dev/null 2>&1
		ms=$((($(date +%s%N) - start) / 1000000))
		[ "$ms" -lt "$best" ] && best=$ms
	done
	echo "$best"
}

for model in llama-3.1-8b qwen3-30b-a3b deepseek-r1; do
	alone=$(fastest "$BUILD/bin/berth" plan "$T/$model.gguf" --accept cpu -c 8192)
	both=$(fastest "$BUILD/bin/berth" plan "$T/$model.gguf" --accept cpu -c 8192 --verify)
	ratio=$(awk "BEGIN { printf \"%.1f\", $both / ($alone ? $alone : 1) }")
	echo "$model: the command takes $alone ms, with the engine's own measure $both ms: ratio $ratio"
done
exit "${bad:-0}"
