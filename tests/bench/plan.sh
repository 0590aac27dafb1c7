# berth plan: parse and verdict on the development headers, under 10 ms each, against the engine's reader.
set -u
: "${BUILD:=build}"
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cp "$BUILD"/tests/models/headers/*.gguf "$T/"
# The engine's reader wants to find the beginning of the data, even to read none.
truncate -s %4096 "$T"/*.gguf
"$BUILD/tests/bench/plan" "$T"/*.gguf
