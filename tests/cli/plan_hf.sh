# berth plan for checkpoints in Hugging Face's format: the same bytes as their GGUF, and what is broken.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models/headers
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"
none=$PWD/tests/machines/none

plan() {
	"$BERTH" plan --machine "$none" --gpu "card,memory=200GiB,backend=cuda" "$@"
}

# bytes FILE: what a plan puts where
bytes() {
	grep -E '"(weights|kv|compute)_bytes"' "$1"
}

# same MODEL QUANT: from the index alone, from shards, from one file
same() {
	run plan --json "$models/$1.gguf"
	bytes "$T/out" >"$T/want"
	for how in index shards file; do
		rm -rf "$T/c"
		python3 tests/fake/hf_checkpoint.py "$1" "$T/c" $how
		exits "$1, $how" 0 plan --json --quant "$2" "$T/c"
		bytes "$T/out" >"$T/got"
		if [ -s "$T/got" ] && cmp -s "$T/want" "$T/got"; then ok "$1, $how: the same bytes"; else
			fail "$1, $how: the same bytes" "$(diff "$T/want" "$T/got" | head -n 6)"; fi
	done
}

same llama-3.2-1b q4_K_M
same qwen3-0.6b q8_0
same qwen3-30b-a3b Q4_K_M
same gemma-3-4b q4_0
same phi-4-14b q4_K_M
same olmoe-1b-7b q4_K_M
same mistral-small-24b q5_K_M
same exaone-4-32b q4_K_M
same command-r7b q4_K_M
same glm-4.5-air q4_K_M

# From few bits to many, never smaller.
python3 tests/fake/hf_checkpoint.py qwen3-0.6b "$T/q"
last=0
for q in q2_K q3_K_M iq4_xs q4_0 q4_K_S q4_K_M q5_K_S q5_K_M q6_K q8_0 bf16 f16 f32; do
	run plan --json --quant $q "$T/q"
	n=$(sed -n 's/^ *"weights_bytes": \([0-9]*\),$/\1/p' "$T/out" | head -n 1)
	if [ "${n:-0}" -ge "$last" ]; then ok "$q is no smaller"; else fail "$q is no smaller" "$n after $last"; fi
	last=${n:-0}
done
exits "what is assumed" 0 plan "$T/q"
golden plan-hf.txt "$T/out"
for f in config.json model.safetensors.index.json; do
	exits "its $f" 0 plan "$T/q/$f"
	golden plan-hf.txt "$T/out"
done
exits "a mix beside a GGUF" 2 plan --quant q4_0 "$T/no.gguf"
says "a mix beside a GGUF: says so" "a GGUF file has its quant already"
exits "no such mix" 2 plan --quant q9_K "$T/q"
says "no such mix: the cause" "q4_K_M, q4_K_S"

# bad NAME STATUS PATTERN: the checkpoint in $T/bad
bad() {
	exits "$1" "$2" plan "$T/bad"
	one_sentence "$1: one sentence"
	says "$1: the cause" "$3"
	rm -rf "$T/bad"
	cp -R "$T/q" "$T/bad"
}
cp -R "$T/q" "$T/bad"
config=$T/bad/config.json index=$T/bad/model.safetensors.index.json
echo '{"model_type": "qwen3"' >"$config"
bad "a broken config" 4 "config.json"
echo '{}' >"$config"
bad "no model type" 4 "no model_type"
sed -i 's/"qwen3"/"qwen9"/' "$config"
exits "an unknown type" 3 plan "$T/bad"
says "an unknown type: the cause" "no mapping for the model type 'qwen9'"
sed -i 's/"qwen9"/"qwen3"/; s/1024,/-3,/' "$config"
bad "a negative width" 4 "hidden_size is no number"
sed -i "s/: 28,/: 100000000,/" "$config"
bad "absurd layers" 4 "absurd"
sed -i 's/"vocab_size": 151936,//' "$config"
bad "a missing key" 4 "no vocab_size"
sed -i 's/{/{"quantization_config": {"quant_method": "gptq"},/' "$config"
exits "quantized otherwise" 3 plan "$T/bad"
says "quantized otherwise: the cause" "quantized by gptq"
rm -rf "$T/bad" && cp -R "$T/q" "$T/bad"
rm "$index"
bad "no tensors" 4 "config.json alone"
echo '{"weight_map": 7}' >"$index"
bad "no map" 4 "no weight_map"
echo '{"weight_map": {"model.norm.weight": "../../x"}}' >"$index"
bad "a file elsewhere" 4 "names no file"
echo '{"weight_map": {"model.layers.0.hyper.weight": "x"}}' >"$index"
exits "an unknown tensor" 3 plan "$T/bad"
says "an unknown tensor: the cause" "no place in GGUF"
rm -rf "$T/bad" && cp -R "$T/q" "$T/bad"
rm "$index"
printf '\377\377\377\377\377\377\377\377{}' >"$T/bad/model.safetensors"
bad "an absurd header" 4 "cut short, or no safetensors"
rm "$index"
printf 'abc' >"$T/bad/model.safetensors"
bad "a cut header" 4 "cut short"
rm "$index"
printf '\075\000\000\000\000\000\000\000{"model.norm.weight":{"dtype":"BF16","shape":[9e9,-1,5,7,9]}}' >"$T/bad/model.safetensors"
bad "an absurd shape" 4 "shape of tensor"
finish
