# berth plan for several models: folders, quants, repositories, stores.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models/headers
gen=$PWD/$BUILD/tests/modelgen/modelgen
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"
none=$PWD/tests/machines/none
unset OLLAMA_MODELS HF_HUB_CACHE HF_HOME XDG_CACHE_HOME LLAMA_CACHE HF_TOKEN HF_ENDPOINT
export HOME="$T/home" HF_TOKEN_PATH=/nonexistent
mkdir "$HOME"

# plan ARGS...: on a card that is not here, from the folder of tests
plan() {
	(cd "$T" && exec "$BERTH" plan --machine "$none" --gpu "RTX 3060 12GB" "$@")
}

# text NAME STATUS ARGS...
text() {
	case_=$1 status=$2
	shift 2
	exits "$case_" "$status" plan "$@"
	golden "plan-compare-$case_.txt" "$T/out"
}

# order NAME WORDS: the models of the last table, in their order
order() {
	got=$(awk 'NR > 1 && $1 ~ /^(fits|spills|unknown|no|refused|error)$/ { print $NF }' "$T/out" | tr '\n' ' ')
	if [ "$got" = "$2 " ]; then ok "$1"; else fail "$1" "$got"; fi
}

mkdir -p "$T/m/sub"
for m in llama-3.1-8b llama-3.2-1b exaone-4-32b; do cp "$models/$m.gguf" "$T/m/"; done
cp "$models/qwen3-0.6b.gguf" "$T/m/sub/"
echo "no model" >"$T/m/broken.gguf"
cp "$models/llama-3.2-1b.gguf" "$T/m/mmproj-x.gguf"
python3 tests/fake/gguf_split.py "$models/smollm3-3b.gguf" "$T/m/parts" 2

# --- several ---

text folder 0 m
text top 0 --top 2 m/
exits "every one" 4 plan --all m
text two 0 m/llama-3.1-8b.gguf m/exaone-4-32b.gguf
exits "all of two" 1 plan --all m/llama-3.1-8b.gguf m/exaone-4-32b.gguf
exits "all of two fit" 0 plan --all m/llama-3.1-8b.gguf m/llama-3.2-1b.gguf
exits "one that is bad" 4 plan m/exaone-4-32b.gguf m/broken.gguf
exits "one that is absent" 1 plan m/exaone-4-32b.gguf m/absent.gguf
exits "json" 0 plan --json m
valid "a comparison" compare "$T/out"
exits "an empty folder" 1 plan home
one_sentence "an empty folder: one sentence"
exits "no folder, and one" 0 plan nowhere/ m
exits "no folder" 1 plan nowhere/
one_sentence "no folder: one sentence"
exits "several into one file" 2 plan -o p.json m
exits "nothing" 2 plan

# --- quants ---

mkdir "$T/q"
for t in F32 F16 Q8_0; do
	"$gen" --type "$(echo $t | tr FQ fq)" --header-only -o "$T/q/Toy-3B-$t.gguf"
done
cp "$T/q/Toy-3B-F16.gguf" "$T/q/Other-3B-F16.gguf"
exits "quants of one model" 0 plan --quants q/Toy-3B-Q8_0.gguf
order "the largest that fits first" "Toy-3B-F32.gguf Toy-3B-F16.gguf Toy-3B-Q8_0.gguf"
(cd "$T/q" && plan() { "$BERTH" plan --machine "$none" --gpu "RTX 3060 12GB" "$@"; } && plan --quants Toy-3B-F16.gguf >"$T/out")
order "beside a bare name" "Toy-3B-F32.gguf Toy-3B-F16.gguf Toy-3B-Q8_0.gguf"

exits "quants of nothing" 1 plan --quants q/Nothing-Q4_0.gguf
says "quants of nothing: the cause" "neither it nor another quant"

# --- a repository ---

mkdir "$T/www"
cp "$T/q/Toy-3B-F16.gguf" "$T/q/Toy-3B-Q8_0.gguf" "$T/www/"
cat >"$T/www/api.json" <<'J'
{"id":"org/repo","siblings":[{"rfilename":"README.md"},{"rfilename":"Toy-3B-Q8_0.gguf"},{"rfilename":"Toy-3B-F16.gguf"},
{"rfilename":"mmproj-F16.gguf"},{"rfilename":"big-00002-of-00002.gguf"},{"rfilename":7},{}]}
J
: >"$T/log"
python3 tests/fake/ranges.py "$T/www" "$T/log" "$T/port" &
server=$!
trap 'kill $server; rm -rf "$T"' EXIT
wait_for test -s "$T/port"
unset http_proxy HTTP_PROXY ALL_PROXY all_proxy
HF_ENDPOINT=http://127.0.0.1:$(cat "$T/port")/open
export HF_ENDPOINT
exits "a repository" 0 plan hf:org/repo
order "its files" "Toy-3B-F16.gguf Toy-3B-Q8_0.gguf"
exits "a revision" 0 plan --quants hf:org/repo@v1
grep -q "/api/models/org/repo/revision/v1" "$T/log" && ok "the revision is asked" || fail "the revision is asked" "$(cat "$T/log")"
echo '{"siblings":[]}' >"$T/www/api.json"
exits "an empty repository" 1 plan hf:org/repo
grep -q "config.json: .*HTTP 404" "$T/out" && ok "an empty repository: the cause" || fail "an empty repository: the cause" "$(cat "$T/out")"
python3 tests/fake/hf_checkpoint.py qwen3-0.6b "$T/www" index
exits "a repository with a checkpoint" 0 plan --quant q8_0 hf:org/repo
order "by its name" "hf:org/repo"
grep -q "/org/repo/resolve/main/model.safetensors.index.json range=bytes=0-" "$T/log" && ok "its index is read" || fail "its index is read" "$(cat "$T/log")"
run plan --quant q8_0 --json hf:org/repo
got=$(grep -E '"(weights|kv|compute)_bytes"' "$T/out" | tr -d ' \n')
run plan --json "$models/qwen3-0.6b.gguf"
want=$(grep -E '"(weights|kv|compute)_bytes"' "$T/out" | tr -d ' \n')
if [ -n "$got" ] && [ "$got" = "$want" ]; then ok "the bytes of its GGUF"; else fail "the bytes of its GGUF" "$got, $want"; fi
rm "$T/www/model.safetensors.index.json"
python3 tests/fake/hf_checkpoint.py qwen3-0.6b "$T/www" file
exits "in one file" 0 plan --quant q8_0 hf:org/repo
echo '[1,2' >"$T/www/api.json"
exits "a broken list" 4 plan hf:org/repo
one_sentence "a broken list: one sentence"
kill $server
trap 'rm -rf "$T"' EXIT
exits "no server" 5 plan hf:org/repo

# --- stores ---

# A service's store on this very machine is not to be seen.
export OLLAMA_MODELS="$HOME/.ollama/models"
exits "no store" 0 plan --list
golden plan-compare-no-store.txt "$T/out"
blob() {
	hash=$(sha256sum "$1" | cut -d ' ' -f 1)
	mkdir -p "$HOME/.ollama/models/blobs"
	cp "$1" "$HOME/.ollama/models/blobs/sha256-$hash"
	echo "sha256:$hash"
}
manifest() {
	mkdir -p "$HOME/.ollama/models/manifests/$(dirname "$1")"
	cat >"$HOME/.ollama/models/manifests/$1" <<J
{"schemaVersion":2,"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"$2","size":1}]}
J
}
manifest registry.ollama.ai/library/toy/latest "$(blob "$models/llama-3.2-1b.gguf")"
manifest registry.ollama.ai/me/mine/8b "$(blob "$models/llama-3.1-8b.gguf")"
manifest hf.co/org/big/q4 "sha256:$(printf '%064d' 1)"
echo '{' >"$HOME/.ollama/models/manifests/registry.ollama.ai/library/toy/broken"
snapshot=$HOME/.cache/huggingface/hub/models--org--name-gguf/snapshots/0123
mkdir -p "$snapshot" "$HOME/.cache/huggingface/hub/models--org--name-gguf/blobs" "$HOME/.cache/llama.cpp" \
	"$HOME/.lmstudio/models/pub/repo"
cp "$models/qwen3-0.6b.gguf" "$HOME/.cache/huggingface/hub/models--org--name-gguf/blobs/abc"
ln -s ../../blobs/abc "$snapshot/Qwen3-0.6B-Q8_0.gguf"
cp "$models/smollm3-3b.gguf" "$HOME/.cache/llama.cpp/smollm3.gguf"
cp "$models/gemma-3-4b.gguf" "$HOME/.lmstudio/models/pub/repo/gemma.gguf"
cp "$models/llama-3.2-1b.gguf" "$HOME/.lmstudio/models/pub/repo/mmproj-gemma.gguf"
text list 0 --list
exits "the list as JSON" 0 plan --list --json
valid "a list" compare "$T/out"
exits "the list where nothing fits" 0 "$BERTH" plan --machine "$none" --gpu "x,memory=1GiB" --list
unset OLLAMA_MODELS
for name in toy toy:latest ollama:toy me/mine:8b ollama:me/mine:8b org/name-gguf/Qwen3-0.6B-Q8_0.gguf \
	qwen3-0.6b-q8_0 smollm3 llama.cpp:smollm3.gguf GEMMA lmstudio:pub/repo/gemma.gguf; do
	exits "by name: $name" 0 plan "$name"
done
grep -q "image encoder lies beside it" "$T/out" && ok "its image encoder is named" || fail "its image encoder is named" "$(cat "$T/out")"
exits "an unknown name" 1 plan nothing-like-it
one_sentence "an unknown name: one sentence"
cp "$models/smollm3-3b.gguf" "$HOME/.lmstudio/models/pub/repo/smollm3.gguf"
exits "a name of two" 2 plan smollm3
says "a name of two: the cause" "may be llama.cpp:smollm3.gguf or lmstudio:pub/repo/smollm3.gguf"
OLLAMA_MODELS="$T/elsewhere" exits "another folder of Ollama" 1 plan toy
finish
