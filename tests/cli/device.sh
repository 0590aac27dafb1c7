#!/bin/sh
# SPDX-License-Identifier: MIT
# berth device: what all verbs have in common. A machine folder is never changed; the journal is read, and undone.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/device" ] || skip "device is not built"
unset BERTH_STATE_DIR

m=$T/m
journal=$m/var/lib/berth/journal
cp -R "$BUILD/tests/device/desk" "$m"
mkdir -p "$journal" "$m/proc/sys/kernel/random"
echo 11111111-2222-3333-4444-555555555555 >"$m/proc/sys/kernel/random/boot_id"
n=0
for seed in done never failed broken hung undo; do
	n=$((n + 1))
	cp "tests/fuzz/seeds/journal/$seed" "$journal/$n.jsonl"
done
# as transaction 1 left it
gpu=$m/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0
echo vfio-pci >"$gpu/driver_override"
ln -sfn ../../../../bus/pci/drivers/vfio-pci "$gpu/driver"
rule=$m/etc/udev/rules.d/70-berth-0000:01:00.0.rules
mkdir -p "${rule%/*}"
printf '# berth\nACTION=="add"\n' >"$rule"
cp -R "$m" "$T/was"

same() {
	diff -r --no-dereference "$T/was" "$m" >"$T/diff" 2>&1 && ok "$1" || fail "$1" "$(head -n 5 "$T/diff")"
}
# bad NAME STATUS PATTERN WORDS...
bad() {
	refused_by device "$@"
}

# words and options
bad "no verb" 2 "give a VERB"
bad "no such verb" 2 "there is no verb 'zork'" zork
bad "a word too many" 2 "'2' is one word too many" undo 1 2
bad "a word missing" 2 "a word is missing: bind DEV DRIVER" bind 01:00.0
bad "an option of another verb" 2 "undo takes no --persist" undo --persist
bad "a verb that changes nothing" 2 "journal takes no --force" journal --force
bad "no such folder" 1 "cannot open the machine folder" journal --machine "$T/none"

# the journal
exits "journal" 0 "$BERTH" device journal --machine "$m"
golden device-journal.txt "$T/out"
exits "one transaction" 0 "$BERTH" device journal 3 --machine "$m"
golden device-journal-one.txt "$T/out"
exits "journal in JSON" 0 "$BERTH" device journal --machine "$m" --json
valid "journal" device "$T/out"
golden device-journal.json "$T/out"
bad "no such transaction" 1 "there is no transaction '9'" journal 9 --machine "$m"
bad "a word that is none" 1 "there is no transaction '../1'" journal ../1 --machine "$m"

# what cannot be taken back
bad "taken back before" 5 "transaction 1 was taken back by 6 already" undo 1 --machine "$m"
bad "never" 5 "what a reset erased is gone" undo 2 --machine "$m"
bad "failed then" 5 "transaction 3 failed, and was taken back then" undo 3 --machine "$m"
bad "broken off" 5 "transaction 4 is not at its end" undo 4 --machine "$m"
bad "nothing is left" 1 "there is nothing to take back" undo --machine "$m"

# the last that can be
rm "$journal/6.jsonl" "$T/was/var/lib/berth/journal/6.jsonl"
exits "undo" 0 "$BERTH" device undo --machine "$m"
says "undo: says which" "takes back transaction 1: bind 0000:01:00.0 vfio-pci --persist"
golden device-undo.txt "$T/out"
exits "undo in JSON" 0 "$BERTH" device undo --machine "$m" --json
valid "undo" device "$T/out"
golden device-undo.json "$T/out"
exits "undo, as a dry run" 0 "$BERTH" device undo 1 --machine "$m" --dry-run --json
valid "undo, as a dry run" device "$T/out"
same "the folder is as it was"

# what was changed since is not taken away
echo nouveau >"$gpu/driver_override"
bad "changed since" 6 "it reads 'nouveau', not 'vfio-pci'" undo --machine "$m" -q
exits "changed since, with --force" 0 "$BERTH" device undo --machine "$m" --force
echo vfio-pci >"$gpu/driver_override"

# after the machine was started anew, files of ours are left of it
echo 99999999-2222-3333-4444-555555555555 >"$m/proc/sys/kernel/random/boot_id"
exits "undo after a start" 0 "$BERTH" device undo --machine "$m"
golden device-undo-anew.txt "$T/out"

# a file that is no journal of ours is told of, and never acted upon
cp tests/fuzz/seeds/journal/outside "$journal/8.jsonl"
ln -s 1.jsonl "$journal/9.jsonl"
exits "a hostile file" 0 "$BERTH" device journal --machine "$m"
says "a hostile file: is told of" "8.jsonl is not sound: step 1: 'sys/../etc/shadow' is no file that a step may write"
says "a link: is not followed" "cannot read .*9.jsonl"
exits "a hostile file: is not acted upon" 1 "$BERTH" device undo 8 --machine "$m"
says "a hostile file: is not acted upon" "there is no transaction '8'"

# a place of its own
export BERTH_STATE_DIR="$T/state"
exits "an empty journal" 0 "$BERTH" device journal
[ -s "$T/out" ] && fail "it is empty" "$(cat "$T/out")" || ok "it is empty"
bad "nothing was done yet" 1 "there is nothing to take back" undo
finish
