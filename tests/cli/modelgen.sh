#!/bin/sh
# SPDX-License-Identifier: MIT
# The generator of test models: same options, same bytes; bad options are refused in one sentence.
set -u
gen=$BUILD/tests/modelgen/modelgen
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

ok() {
	echo "ok $1"
}

fail() {
	echo "FAIL $1: $2"
	failed=1
}

# same NAME FILE FILE; differ NAME FILE FILE
same() {
	if cmp -s "$2" "$3"; then ok "$1"; else fail "$1" "the files differ"; fi
}

differ() {
	if cmp -s "$2" "$3"; then fail "$1" "the files are equal"; else ok "$1"; fi
}

# refuses NAME WORDS ARGUMENTS...: exit 2, one sentence with WORDS, no file
refuses() {
	name=$1 words=$2
	shift 2
	rm -f "$dir/no.gguf"
	"$gen" -o "$dir/no.gguf" "$@" >"$dir/out" 2>"$dir/err"
	rc=$?
	if [ $rc -ne 2 ]; then
		fail "$name" "exit $rc, not 2"
	elif [ "$(wc -l <"$dir/err")" -ne 1 ] || ! grep -q -- "$words" "$dir/err"; then
		fail "$name" "said: $(cat "$dir/err")"
	elif [ -s "$dir/out" ] || [ -e "$dir/no.gguf" ]; then
		fail "$name" "left something behind"
	else
		ok "$name"
	fi
}

families="llama qwen3 gemma3 qwen3moe lfm2 mamba bert"
small="--layers 3 --embd 64 --ff 64 --heads 4 --kv-heads 2 --vocab 400"
for arch in $families; do
	for type in f32 f16 q8_0; do
		"$gen" -o "$dir/a" --arch $arch --type $type $small || fail "$arch $type" "exit $?"
		"$gen" -o "$dir/b" --arch $arch --type $type $small
		same "$arch $type: same options, same bytes" "$dir/a" "$dir/b"
	done
done
"$gen" -o "$dir/b" --arch gemma3 --type q8_0 $small
"$gen" -o "$dir/c" --arch gemma3 --type q8_0 $small --seed 7
differ "another seed, other bytes" "$dir/b" "$dir/c"
[ "$(head -c 4 "$dir/a")" = GGUF ] && ok "magic" || fail "magic" "not GGUF"
[ "$(wc -c <"$dir/b")" -eq "$(wc -c <"$dir/c")" ] && ok "the seed keeps the size" ||
	fail "the seed keeps the size" "sizes differ"

"$gen" -o "$dir/h" --arch gemma3 --type q8_0 $small --header-only
size=$(wc -c <"$dir/h")
head -c "$size" "$dir/b" >"$dir/b.head"
same "--header-only is the beginning of the whole" "$dir/h" "$dir/b.head"
[ "$size" -lt "$(wc -c <"$dir/b")" ] && ok "--header-only is shorter" ||
	fail "--header-only is shorter" "it is not"

"$gen" -o "$dir/s" --layers 2 --size tiny --vocab 400
"$gen" -o "$dir/t" --layers 2 --vocab 400
same "options override --size, in any order" "$dir/s" "$dir/t"

# A draft: the first layers of a model, and its vocabulary, embedding and output
"$gen" -o "$dir/long" $small --layers 4 --deciding 2
"$gen" -o "$dir/short" $small --layers 2
python3 - "$dir/long" "$dir/short" <<'END' && ok "fewer layers are the first of more" || fail "fewer layers are the first of more" "they differ"
import struct, sys
def tensors(path):
    data = open(path, "rb").read()
    at = 24
    def take(fmt):
        nonlocal at
        v = struct.unpack_from("<" + fmt, data, at)
        at += struct.calcsize("<" + fmt)
        return v[0]
    def text():
        nonlocal at
        n = take("Q")
        at += n
        return data[at - n:at].decode()
    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            inner, n = take("I"), take("Q")
            return [value(inner) for _ in range(n)]
        return take({4: "I", 5: "i", 6: "f", 7: "?"}[kind])
    n_tensors, n_keys = struct.unpack_from("<QQ", data, 8)
    for _ in range(n_keys):
        text()
        value(take("I"))
    table = []
    for _ in range(n_tensors):
        name, dims = text(), take("I")
        ne = [take("Q") for _ in range(dims)]
        table.append((name, ne, take("I"), take("Q")))
    start = (at + 31) // 32 * 32
    ends = [offset for *_, offset in table[1:]] + [len(data) - start]
    return {name: (ne, data[start + offset:start + end]) for (name, ne, _, offset), end in zip(table, ends)}
long, short = map(tensors, sys.argv[1:])
same = [name for name in short if short[name] == long[name]]
assert set(short) < set(long) and sorted(same) == sorted(short), set(short) - set(same)
END

refuses "unknown option" "unknown option '--bogus'" --bogus 1
refuses "no value" "wants a value" --layers
refuses "not a number" "not 'many'" --layers many
refuses "a negative number" "not '-1'" --layers -1
refuses "too many" "from 1 to 256" --layers 257
refuses "heads that do not divide" "even width" --embd 100 --heads 8
refuses "kv heads that do not divide" "no multiple" --kv-heads 3
refuses "q8_0 in odd blocks" "multiples of 32" --type q8_0 --ff 500
refuses "unknown type" "not 'q2_z'" --type q2_z
refuses "more experts used than there are" "more than --experts 4" --arch qwen3moe --experts 4 --experts-used 5
refuses "experts that do not divide" "does not divide --ff 512" --arch qwen3moe --experts-used 3
refuses "unknown architecture" "not 'gpt9'" --arch gpt9
refuses "unknown size" "not 'huge'" --size huge
"$gen" --layers 2 2>"$dir/err"
[ $? -eq 2 ] && grep -q 'with -o' "$dir/err" && ok "no -o" || fail "no -o" "$(cat "$dir/err")"
"$gen" -o "$dir/absent/x.gguf" 2>"$dir/err"
[ $? -eq 5 ] && ok "a folder that is not there" || fail "a folder that is not there" "wrong exit"
"$gen" -o /dev/full/x 2>/dev/null
[ $? -eq 5 ] && ok "a path below a file" || fail "a path below a file" "wrong exit"
[ -z "$(find "$dir" -name '*.tmp')" ] && ok "no temporary files stay" ||
	fail "no temporary files stay" "$(ls "$dir")"

if [ -x "$BUILD/libexec/berth/plan" ]; then
	for arch in $families; do
		"$gen" -o "$dir/p.gguf" --arch $arch --layers 4
		"$BERTH" plan --json --accept cpu "$dir/p.gguf" >"$dir/plan.json" 2>"$dir/err"
		if grep -q '"verdict": *"\(fits\|spills\)"' "$dir/plan.json"; then
			ok "berth plan knows $arch"
		else
			fail "berth plan knows $arch" "$(grep verdict "$dir/plan.json") $(cat "$dir/err")"
		fi
	done
fi
exit $failed
