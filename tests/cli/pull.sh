#!/bin/sh
# SPDX-License-Identifier: MIT
# berth pull: from a server on loopback, good and bad; what is left of a broken try is gone on with.
. tests/lib.sh
export HOME="$T/home"
unset http_proxy HTTP_PROXY ALL_PROXY all_proxy HF_TOKEN HF_ENDPOINT HF_HOME XDG_CACHE_HOME XDG_DATA_HOME BERTH_MODELS
unset OLLAMA_MODELS HF_HUB_CACHE LLAMA_CACHE
mkdir "$T/www" "$T/home" "$T/d"
models=$T/home/.local/share/berth/models
python3 - "$T/www" <<'P'
import random, sys
random.seed(1)
def make(name, n):
    with open(sys.argv[1] + "/" + name, "wb") as f:
        f.write(b"GGUF" + random.randbytes(n - 4))
make("m.gguf", 1000000)
make("large.gguf", 20000000)
for i in (1, 2, 3):
    make("s-%05d-of-00003.gguf" % i, 100000 * i)
open(sys.argv[1] + "/page.gguf", "w").write("<!DOCTYPE html>")
open(sys.argv[1] + "/empty.gguf", "w")
P
: >"$T/log"
python3 tests/fake/ranges.py "$T/www" "$T/log" "$T/port" &
server=$!
trap 'kill $server; rm -rf "$T"' EXIT
wait_for test -s "$T/port" || { fail "the server" "did not start"; finish; }
url=http://127.0.0.1:$(cat "$T/port")
sum=$(sha256sum "$T/www/m.gguf" | cut -d' ' -f1)

is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
same() {
	if cmp -s "$2" "$3"; then ok "$1"; else fail "$1" "$(ls -l "$2" "$3" 2>&1)"; fi
}
json() {
	python3 -c "import json,sys; o=json.load(open(sys.argv[1])); print($1)" "$T/out" 2>&1
}
# bad NAME STATUS PATTERN ARGUMENTS...: one sentence, and no file
bad() {
	name=$1 status=$2 pattern=$3
	shift 3
	rm -rf "$T/x"
	mkdir "$T/x"
	exits "$name" "$status" "$BERTH" pull -q -o "$T/x/" "$@"
	one_sentence "$name: one sentence"
	says "$name: the cause" "$pattern"
	is "$name: no model" "" "$(ls "$T/x" | grep -v part)"
}

# --- good servers ---
exits "ranges" 0 "$BERTH" pull "$url/ok/m.gguf"
is "the path on stdout" "$models/m.gguf" "$(cat "$T/out")"
same "its bytes" "$T/www/m.gguf" "$models/m.gguf"
is "nothing else is left" "m.gguf" "$(ls "$models")"
says "its digest" "$sum (the server tells none"
exits "again" 0 "$BERTH" pull --json "$url/ok/m.gguf"
is "it was there" "True" "$(json 'o["files"][0]["was_there"]')"
valid "pull" pull "$T/out"
echo other >"$T/d/m.gguf"
exits "another file of that name" 5 "$BERTH" pull -o "$T/d" "$url/ok/m.gguf"
one_sentence "another file: one sentence"
is "it is left alone" other "$(cat "$T/d/m.gguf")"
exits "three pieces, no end" 0 "$BERTH" pull -q -o "$T/d/l1" "$url/ok/large.gguf"
same "three pieces" "$T/www/large.gguf" "$T/d/l1"
exits "no ranges" 0 "$BERTH" pull -q -o "$T/d/l2" "$url/plain/large.gguf"
same "no ranges: its bytes" "$T/www/large.gguf" "$T/d/l2"
exits "no length" 0 "$BERTH" pull -q -o "$T/d/l3" "$url/nolength/large.gguf"
same "no length: its bytes" "$T/www/large.gguf" "$T/d/l3"
exits "redirects, a query" 0 "$BERTH" pull -q -o "$T/d/" "$url/hop/3/large.gguf?download=true"
same "the name without the query" "$T/www/large.gguf" "$T/d/large.gguf"
exits "connections that break" 0 "$BERTH" pull -o "$T/d/l4" "$url/drop/m.gguf"
same "broken connections: its bytes" "$T/www/m.gguf" "$T/d/l4"
exits "shards" 0 "$BERTH" pull -o "$T/d/" "$url/ok/s-00002-of-00003.gguf"
is "the first one names the model" "$T/d/s-00001-of-00003.gguf" "$(cat "$T/out")"
for i in 1 2 3; do same "shard $i" "$T/www/s-0000$i-of-00003.gguf" "$T/d/s-0000$i-of-00003.gguf"; done
HF_ENDPOINT=$url exits "by repository" 0 "$BERTH" pull -q hf:open/repo/m.gguf
is "by repository: its place" "$models/open/repo/m.gguf" "$(cat "$T/out")"
exits "and plan finds it by name" 4 "$BERTH" plan open/repo/m.gguf
says "by its name" "$models/open/repo/m.gguf\|GGUF"

# --- digests ---
exits "as asked for" 0 "$BERTH" pull -o "$T/d/a" --json --sha256 "$sum" "$url/ok/m.gguf"
is "as asked for: said" option "$(json 'o["files"][0]["compared_with"]')"
exits "as the server says" 0 "$BERTH" pull -o "$T/d/b" --json "$url/told/m.gguf"
is "as the server says: said" server "$(json 'o["files"][0]["compared_with"]')"
bad "not what was asked for" 4 "should be 00000" --sha256 "$(printf '%064d' 0)" "$url/ok/m.gguf"
bad "not what the server said" 4 "its SHA-256 is $sum" "$url/mistold/m.gguf"
is "a wrong file is not gone on with" "" "$(ls "$T/x")"

# --- going on ---
exits "a broken try" 4 "$BERTH" pull -q -o "$T/d/r" --sha256 "$(printf '%064d' 0)" "$url/ok/m.gguf"
etag=$(python3 -c 'import os,sys; s=os.stat(sys.argv[1]); print("\\\"%d-%d\\\"" % (s.st_size, int(s.st_mtime)))' "$T/www/m.gguf")
# part NAME ETAG TOTAL: what a try that was killed after 700000 bytes leaves
part() {
	head -c 700000 "$T/www/m.gguf" >"$T/d/$1.part"
	printf '{"schema": "berth.part/1", "etag": "%s", "total_bytes": %s}\n' "$2" "$3" >"$T/d/$1.part.json"
}
part r "$etag" 1000000
: >"$T/log"
exits "gone on with" 0 "$BERTH" pull --json -o "$T/d/r" "$url/ok/m.gguf"
is "where it ended" 700000 "$(json 'o["files"][0]["resumed_bytes"]')"
grep -q "range=bytes=700000-" "$T/log" && ok "by a range" || fail "by a range" "$(cat "$T/log")"
same "gone on with: its bytes" "$T/www/m.gguf" "$T/d/r"
is "no part is left" "" "$(ls "$T/d" | grep part)"
for row in "r1 x-y 1000000" "r2 $etag 999"; do
	part $row
	exits "another file now (${row%% *})" 0 "$BERTH" pull -o "$T/d/${row%% *}" "$url/ok/m.gguf"
	says "begun anew (${row%% *})" "begun anew"
	same "begun anew (${row%% *}): its bytes" "$T/www/m.gguf" "$T/d/${row%% *}"
done
part r3 "$etag" 1000000
echo garbage >"$T/d/r3.part.json"
exits "a garbled note" 0 "$BERTH" pull -q -o "$T/d/r3" "$url/ok/m.gguf"
same "a garbled note: its bytes" "$T/www/m.gguf" "$T/d/r3"
part r4 "$etag" 1000000
flock "$T/d/r4.part" "$BERTH" pull -q -o "$T/d/r4" "$url/ok/m.gguf" 2>"$T/err"
is "two at once" 5 "$?"
says "two at once: said" "another berth pull is at it"

# --- bad servers, bad words ---
bad "absent" 1 "no such file" "$url/ok/zork.gguf"
bad "a web page" 4 "is no GGUF" "$url/ok/page.gguf"
bad "empty" 4 "empty" "$url/ok/empty.gguf"
bad "too large for the disk" 5 "the disk of .* has .* free" "$url/huge/m.gguf"
is "nothing was written" "" "$(ls "$T/x")"
bad "cut" 4 "too early" "$url/cut/m.gguf"
bad "silent" 5 "silent or too slow" --timeout 1 "$url/mute/m.gguf"
bad "compressed" 4 "compressed" "$url/gzip/m.gguf"
bad "changes" 5 "changed on the server" "$url/change/large.gguf"
bad "no URL" 2 "is no URL" m.gguf
bad "no name" 2 "give one with -o" "$url/ok/"
bad "no digest" 2 "64 hexadecimal" --sha256 zork "$url/ok/m.gguf"
bad "a folder that cannot be" 4 "Not a directory" -o "$T/www/m.gguf/x" "$url/ok/m.gguf"
exits "nothing" 2 "$BERTH" pull
finish
