#!/bin/sh
# SPDX-License-Identifier: MIT
# Profiles, and models by the names that local stores have for them. Nothing is started: dry runs show it.
. tests/lib.sh
[ -e "$BUILD/lib/berth/libggml-base.so" ] || skip "the engine is not there: $BUILD/lib/berth"
export BERTH_RUNTIME_DIR="$T/run" HOME="$T/home" XDG_CONFIG_HOME="$T/config"
unset OLLAMA_MODELS HF_HUB_CACHE HF_HOME LLAMA_CACHE XDG_CACHE_HOME XDG_DATA_HOME BERTH_MODELS
mkdir -p -m 700 "$T/run"
mkdir -p "$T/home/.cache/llama.cpp" "$T/config/berth/profiles.d"
"$BUILD/tests/modelgen/modelgen" -o "$T/home/.cache/llama.cpp/tiny.gguf" || fail "model" "modelgen failed"
dir=$T/config/berth/profiles.d

# profile NAME LINE...
profile() {
	file=$dir/$1.conf
	shift
	printf '%s\n' "$@" >"$file"
}
json() {
	python3 -c "import json,sys; o=json.load(open(sys.argv[1])); print($1)" "$T/out" 2>&1
}
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
# bad NAME STATUS PATTERN PROFILE
bad() {
	exits "$1" "$2" "$BERTH" launch "$4" --dry-run
	one_sentence "$1: one sentence"
	says "$1: says so" "$3"
}

# --- names of stores ---
exits "a store's name" 0 "$BERTH" launch tiny --accept cpu --dry-run --json
is "its path" "$(readlink -f "$T/home/.cache/llama.cpp/tiny.gguf")" "$(json 'o["plan"]["model"]["path"]')"
exits "a name nobody knows" 1 "$BERTH" launch zork --accept cpu --dry-run
one_sentence "nobody knows it: one sentence"
says "nobody knows it: says so" "no file and no profile zork, and no store of models here knows that name"
exits "a model on a server" 2 "$BERTH" launch https://127.0.0.1:1/x.gguf --dry-run
says "a model on a server: how to get it" "berth pull https"

# --- profiles ---
profile chat '# at the desk' 'model = ~/.cache/llama.cpp/tiny.gguf' 'ctx = 1024' 'accept = cpu' 'seed = 7'
exits "a profile" 0 "$BERTH" launch chat --dry-run --json
is "its context" 1024 "$(json 'o["plan"]["flags"]["n_ctx"]')"
is "its seed" 7 "$(json 'o["argv"][o["argv"].index("--seed") + 1]')"
exits "overruled" 0 "$BERTH" launch -c 512 chat --dry-run --json
is "by the command line" 512 "$(json 'o["plan"]["flags"]["n_ctx"]')"
is "in that alone" 7 "$(json 'o["argv"][o["argv"].index("--seed") + 1]')"
exits "a profile that serves" 0 "$BERTH" launch chat --serve --dry-run --json
is "under its own name" chat "$(json 'o["argv"][o["argv"].index("--name") + 1]')"
exits "and under another" 0 "$BERTH" launch chat --serve --name desk --dry-run --json
is "that is given" desk "$(json 'o["argv"][o["argv"].index("--name") + 1]')"
profile named 'model = llama.cpp:tiny' 'accept = cpu'
exits "a profile with a store's name" 0 "$BERTH" launch named --dry-run
(cd "$T" && cp "$T/home/.cache/llama.cpp/tiny.gguf" chat && "$BERTH" launch chat --accept cpu --dry-run --json >"$T/out")
is "a file comes before a profile" "$(readlink -f "$T/chat")" "$(json 'o["plan"]["model"]["path"]')"

profile unknown 'model = tiny' 'ctxx = 4096'
bad "an unknown option" 4 'unknown.conf: line 2: there is no option .ctxx.; did you mean .ctx' unknown
profile value 'model = tiny' 'ctx = lots'
bad "a bad value" 4 'value.conf: line 2: --ctx takes a whole number' value
profile barred 'model = tiny' 'json = yes'
bad "what is for a terminal" 4 "'json' has no place in a profile" barred
profile empty '# nothing'
bad "no model" 2 'the profile names no model' empty
profile gone 'model = not-there' 'accept = cpu'
bad "its model is gone" 1 'there is no file not-there' gone
mkdir "$dir/folder.conf"
bad "a folder" 4 'folder.conf is no file' folder
head -c 100000 /dev/zero | tr '\0' '#' >"$dir/large.conf"
bad "too large" 4 'larger than 64 KiB' large
finish
