# berth plan's inputs: shards, servers good and bad.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models/headers
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"
none=$PWD/tests/machines/none

plan() {
	"$BERTH" plan --machine "$none" --accept cpu "$@"
}

# bad NAME STATUS PATTERN ARGS...: one sentence with the cause
bad() {
	case_=$1 status=$2 pattern=$3
	shift 3
	exits "$case_" "$status" plan "$@"
	one_sentence "$case_: one sentence"
	says "$case_: the cause" "$pattern"
}

# --- shards ---

mkdir "$T/s" "$T/part"
python3 tests/fake/gguf_split.py "$models/llama-3.2-1b.gguf" "$T/s/m" 3
(cd "$models" && plan llama-3.2-1b.gguf >"$T/whole")
for i in 1 2 3; do
	exits "shard $i" 0 plan "$T/s/m-0000$i-of-00003.gguf"
	if cmp -s "$T/whole" "$T/out"; then ok "shard $i: the same plan"; else
		fail "shard $i: the same plan" "$(diff "$T/whole" "$T/out" | head -n 5)"; fi
done
cp "$T/s"/* "$T/part/"
rm "$T/part/m-00002-of-00003.gguf"
bad "a missing shard" 4 "shard 2 of 3 is missing: m-00002-of-00003.gguf" "$T/part/m-00003-of-00003.gguf"
head -c 500 "$T/s/m-00002-of-00003.gguf" >"$T/part/m-00002-of-00003.gguf"
bad "a cut shard" 4 "shard 2 of 3, m-00002-of-00003.gguf: " "$T/part/m-00001-of-00003.gguf"
cp "$T/s/m-00003-of-00003.gguf" "$T/part/m-00002-of-00003.gguf"
bad "a foreign shard" 4 "it is shard 3 of 3 by its keys" "$T/part/m-00001-of-00003.gguf"
cp "$T/s/m-00001-of-00003.gguf" "$T/part/renamed.gguf"
bad "a renamed shard" 4 "does not end in -00001-of-00003.gguf" "$T/part/renamed.gguf"

# --- servers ---

mkdir "$T/www"
cp "$models/llama-3.2-1b.gguf" "$T/www/small.gguf"
cp "$T/s"/m-*.gguf "$T/www/"
# A header of more than two pieces: one long text in front of the rest.
python3 tests/fake/gguf_split.py --pad 9000000 "$models/llama-3.2-1b.gguf" "$T/www/large.gguf"
{ cat "$T/www/small.gguf" && head -c 9000000 /dev/zero; } >"$T/www/whole.gguf"
head -c 1416000 "$T/www/small.gguf" >"$T/www/cut.gguf"
: >"$T/www/empty.gguf"
echo "<!DOCTYPE html><p>Not a model" >"$T/www/page.gguf"
: >"$T/log"
python3 tests/fake/ranges.py "$T/www" "$T/log" "$T/port" &
server=$!
trap 'kill $server; rm -rf "$T"' EXIT
wait_for test -s "$T/port"
[ -s "$T/port" ] || { fail "the server" "did not start"; finish; }
url=http://127.0.0.1:$(cat "$T/port")
unset http_proxy HTTP_PROXY ALL_PROXY all_proxy HF_TOKEN HF_ENDPOINT
export HF_TOKEN_PATH=/nonexistent

# same NAME URL: the plan is that of the file; requests are counted in $n
same() {
	: >"$T/log"
	exits "$1" 0 plan "$2"
	if cmp -s "$T/whole" "$T/out"; then ok "$1: the same plan"; else
		fail "$1: the same plan" "$(diff "$T/whole" "$T/out" | head -n 5)"; fi
	n=$(grep -c . "$T/log")
}

# requests NAME COUNT
requests() {
	if [ "$n" -eq "$2" ]; then ok "$1: $2 requests"; else fail "$1: $2 requests" "$n: $(cat "$T/log")"; fi
}

same "ranges" "$url/ok/small.gguf"
requests "ranges" 1
same "three pieces" "$url/ok/large.gguf"
requests "three pieces" 3
if grep -q "range=bytes=8388608-" "$T/log"; then ok "4 MiB steps"; else fail "4 MiB steps" "$(cat "$T/log")"; fi
same "short ranges" "$url/short/large.gguf"
requests "short ranges" 10
same "no ranges" "$url/plain/large.gguf"
requests "no ranges" 1
same "no length" "$url/nolength/large.gguf"
exits "no length and no end" 0 plan "$url/nolength/whole.gguf"
grep -q "does not tell the file's size" "$T/out" && ok "no end: said" || fail "no end: said" "$(cat "$T/out")"
same "redirects" "$url/hop/5/large.gguf"
requests "redirects: once, then straight" 8
same "another host" "$url/away/small.gguf"
same "shards behind a server" "$url/ok/m-00002-of-00003.gguf"
same "shards without ranges" "$url/plain/m-00003-of-00003.gguf"
same "a query" "$url/ok/small.gguf?download=true"

bad "a truncated header" 4 "truncated" "$url/ok/cut.gguf"
bad "an empty file" 4 "empty" "$url/ok/empty.gguf"
bad "an empty file without ranges" 4 "empty" "$url/plain/empty.gguf"
bad "a web page" 4 "a web page" "$url/plain/page.gguf"
bad "absent" 1 "HTTP 404" "$url/ok/absent.gguf"
mv "$T/www/m-00002-of-00003.gguf" "$T/www/gone"
bad "an absent shard" 4 "shard 2 of 3 is missing: m-00002-of-00003.gguf" "$url/ok/m-00001-of-00003.gguf"
bad "six redirects" 4 "more than 5 times" "$url/hop/6/small.gguf"
bad "a loop" 4 "more than 5 times" "$url/loop/small.gguf"
bad "to a file" 4 "redirects to" "$url/nowhere/small.gguf"
bad "a cut transfer" 4 "too early" "$url/cut/small.gguf"
bad "a stall" 5 "silent or too slow" --timeout 1 "$url/stall/large.gguf"
bad "no answer" 5 "silent or too slow" --timeout 1 "$url/mute/small.gguf"
bad "another range" 4 "not those asked for" "$url/shift/large.gguf"
bad "nonsense" 4 "makes no sense" "$url/lies/small.gguf"
bad "a change" 5 "changed on the server" "$url/change/large.gguf"
bad "too much" 4 "than was asked for\|bytes of" "$url/more/small.gguf"
bad "compressed" 4 "compressed" "$url/gzip/small.gguf"
bad "busy" 5 "HTTP 503" "$url/busy/small.gguf"
bad "ranges forgotten" 4 "only the whole file" "$url/forget/large.gguf"
bad "headers without end" 4 "" "$url/endless/small.gguf"
bad "a password" 2 "user name" "http://me:secret@127.0.0.1/x.gguf"
bad "another scheme" 1 "No such file" "ftp://127.0.0.1/x.gguf"
bad "nobody there" 5 "cannot be reached" "http://127.0.0.1:1/x.gguf"
bad "gated" 5 "HF_TOKEN" "$url/gated/small.gguf"

# --- the token: never over http, never to another host ---

: >"$T/log"
HF_TOKEN=right exits "gated, with a token over http" 5 plan "$url/gated/small.gguf"
HF_TOKEN=right HF_ENDPOINT=$url exits "the endpoint, over http" 5 plan "hf:org/repo/small.gguf"
HF_TOKEN=right exits "a token and a stranger" 0 plan "$url/ok/small.gguf"
grep -q "/org/repo/resolve/main/small.gguf" "$T/log" && ok "hf: is a URL" || fail "hf: is a URL" "$(cat "$T/log")"
if grep -qv "token=-" "$T/log"; then fail "the token stays" "$(cat "$T/log")"; else ok "the token stays"; fi
HF_ENDPOINT=http://127.0.0.1:1 exits "hf: without a file, offline" 5 plan hf:org/repo
bad "hf: with dots" 2 "hf:ORG/REPO/FILE" hf:org/repo/../../x.gguf

# --- the cache ---

unset BERTH_NO_CACHE
export XDG_CACHE_HOME="$T/cache"
mkdir "$T/cache"
same "fetched" "$url/ok/large.gguf"
requests "fetched" 3
same "from the cache" "$url/ok/large.gguf"
requests "from the cache" 1
grep -q 'match="' "$T/log" && ok "asked by its tag" || fail "asked by its tag" "$(cat "$T/log")"
touch -d "1 hour ago" "$T/www/large.gguf"
same "changed on the server" "$url/ok/large.gguf"
requests "changed on the server" 3
printf 'garbage' >"$(ls "$T"/cache/berth/headers/*)"
same "a broken cache" "$url/ok/large.gguf"
requests "a broken cache" 3
[ "$(stat -c %a "$T"/cache/berth/headers/*)" = 600 ] && ok "private" || fail "private" "$(ls -l "$T/cache/berth/headers")"
kill $server
trap 'rm -rf "$T"' EXIT
wait $server 2>/dev/null
exits "offline" 0 plan "$url/ok/large.gguf"
grep -q "cannot be reached" "$T/out" && ok "offline: said" || fail "offline: said" "$(cat "$T/out")"
bad "offline and never seen" 5 "cannot be reached" "$url/ok/small.gguf"
finish
