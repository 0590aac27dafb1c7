# berth plan --calibrate: what is measured once is used in plans to come. The GPU is a captured one, whose free
# memory a core of ours changes; the host is this machine's, with the real core.
# shellcheck shell=sh
. tests/lib.sh
models=$PWD/$BUILD/tests/models/headers
[ -d "$models" ] || skip "no model headers in $models: make test-programs unpacks them"
unset BERTH_NO_CACHE
export XDG_CACHE_HOME="$T/cache"
file=$T/cache/berth/calibration.json

cp -r "$(machine rx9070-downtrained)" "$T/machine"
chmod -R u+w "$T/machine"
used=$(find "$T/machine" -name mem_info_vram_used)
tree=$T/tree
mkdir -p "$tree/bin" "$tree/libexec/berth"
cp "$BERTH" "$tree/bin/"
cp "$BUILD/libexec/berth/plan" "$tree/libexec/berth/"
# fake BYTES LINE [AT_ONCE]: a core that takes so much of the card, prints this, and leaves when its input ends
fake() {
	cat >"$tree/libexec/berth/core" <<END
#!/bin/sh
case \$(cat "\$3") in *'"cpu"'*) echo '{"read_bytes_s":50000000000,"account_bytes":0}'; cat >/dev/null; exit ;; esac
before=\$(cat "$used")
echo \$((before + $1)) >"$used"
echo '$2'
${3:-cat >/dev/null}
echo \$before >"$used"
END
	chmod +x "$tree/libexec/berth/core"
}
berth() {
	"$tree/bin/berth" plan --machine "$T/machine" "$@"
}
# tells NAME PATTERN: the last run's answer has it
tells() {
	grep -q -e "$2" "$T/out" && ok "$1" || fail "$1" "no '$2' in: $(head -c 800 "$T/out" "$T/err")"
}

exits "no engine" 1 berth --calibrate
says "no engine says why" "engine is not part of this installation"
exits "takes no model" 2 berth --calibrate "$models/llama-3.2-1b.gguf"

run berth "$models/llama-3.2-1b.gguf"
tells "before: the backend's own row" '462.1 MiB'

# 20 MiB are the engine's own, 200 MiB are the driver's
fake 230686720 '{"account_bytes":20971520,"read_bytes_s":640000000000,"link_bytes_s":25000000000}'
exits "calibrated" 0 berth --calibrate
tells "the card" '^0000:03:00.0 .*take 200.0 MiB besides.*reads 640 GB/s, gets 25 GB/s'
tells "the host" '^host: reads 50 GB/s'
is_mode=$(stat -c %a "$file")
[ "$is_mode" = 600 ] && ok "private" || fail "private" "mode $is_mode"
run berth "$models/llama-3.2-1b.gguf"
tells "after: what was measured, and the margin" '534.1 MiB'
BERTH_NO_CACHE=1 "$tree/bin/berth" plan --machine "$T/machine" "$models/llama-3.2-1b.gguf" >"$T/out"
tells "not without the cache" '462.1 MiB'

# somebody gave memory back meanwhile: nothing can be said, and what was known is not kept
fake -1000000000 '{"account_bytes":20971520,"read_bytes_s":640000000000}'
exits "disturbed" 0 berth --calibrate
tells "disturbed says so" 'what a driver takes cannot be read'
# a core that says nonsense, or dies
for bad in '' nonsense '{"error":1'; do
	fake 0 "$bad" :
	exits "answer '$bad'" 0 berth --calibrate
	says "answer '$bad' says so" '0000:03:00.0 .* is not measured'
done
# the file is foreign, too
for bad in '' nonsense '{"schema":"berth.calibration/1","devices":[7]}' '[]'; do
	echo "$bad" >"$file"
	exits "file '$bad'" 0 berth "$models/llama-3.2-1b.gguf"
done

# --- the real core, on the CPU ---

if [ -x "$BUILD/libexec/berth/core" ]; then
	rm -f "$file"
	run timeout 60 "$BERTH" plan --machine "$PWD/tests/machines/none" --calibrate
	[ "$rc" -eq 0 ] && ok "this host" || fail "this host" "exit $rc: $(head -c 400 "$T/err")"
	tells "this host's memory is timed" '^host: reads [0-9]* GB/s'
	run "$BERTH" plan --machine "$PWD/tests/machines/none" --accept cpu "$models/llama-3.2-1b.gguf"
	tells "its speed is known then" '^speed .*tokens/s'
fi
finish
