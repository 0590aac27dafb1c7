#!/bin/sh
# The front: help, unknown words, schemas, completions, man pages, running from anywhere.
. tests/lib.sh

exits "no command is a usage error" 2 "$BERTH"
exits "help" 0 "$BERTH" --help
for c in probe plan pull launch ps stop restart logs doctor device bridge top schema completion; do
	grep -q "^  $c " "$T/out" && ok "help lists $c" || fail "help lists $c" "absent"
done
exits "version" 0 "$BERTH" --version
grep -q '^berth [0-9]' "$T/out" && ok "version has a number" || fail "version has a number" "$(cat "$T/out")"

exits "unknown command" 2 "$BERTH" prbe
one_sentence "unknown command says one line"
says "unknown command suggests" "did you mean 'probe'"
exits "unknown command far off" 2 "$BERTH" xyzzyxyzzy
one_sentence "far command says one line"

exits "help of a command" 0 "$BERTH" help probe
grep -q 'usage: berth probe' "$T/out" && ok "help of probe" || fail "help of probe" "$(head -n 3 "$T/out")"
exits "help of nothing" 2 "$BERTH" help nothing

exits "schemas are listed" 0 "$BERTH" schema
sort -c "$T/out" && ok "in order" || fail "in order" "$(cat "$T/out")"
for s in $(cat "$T/out"); do
	run "$BERTH" schema "$s"
	python3 -c 'import json,sys,jsonschema; jsonschema.Draft202012Validator.check_schema(json.load(sys.stdin))' \
		<"$T/out" && ok "schema $s is a schema" || fail "schema $s is a schema" "not valid"
done
exits "schema of nothing" 1 "$BERTH" schema nothing
one_sentence "schema of nothing says one line"
exits "schema never leaves its folder" 2 "$BERTH" schema ../../../etc/passwd

for s in bash zsh fish; do
	exits "completion $s" 0 "$BERTH" completion "$s"
	grep -q capture "$T/out" && ok "completion $s knows options" || fail "completion $s knows options" "none"
done
bash -n "$BUILD/share/bash-completion/completions/berth" && ok "bash parses its completion" ||
	fail "bash parses its completion" "syntax"
exits "completion of an unknown shell" 2 "$BERTH" completion csh

for c in probe plan pull launch ps stop restart logs doctor device bridge top; do
	m=$BUILD/share/man/man1/berth-$c.1
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS'; do
		grep -q "^.SH $section" "$m" || fail "man $c" "no $section"
	done
	grep -q '^.SH EXIT' "$m" && ok "man berth-$c"
	# a request of roff's is one at the beginning of a line alone
	grep -n '[^\\&]\.\(fi\|nf\|TP\|PP\|SH\)$' "$m" >"$T/out" && fail "man $c: its requests" "$(cat "$T/out")" || ok "man $c: its requests"
	# every option has one sentence for people
	run "$BERTH" "$c" --nonsense
	[ "$rc" -eq 2 ] && ok "$c refuses an unknown option" || fail "$c refuses an unknown option" "exit $rc"
	one_sentence "$c says so in one line"
done

# The front's own commands: help, one word at most, and a disk that is full.
for c in schema completion help; do
	exits "help of $c" 0 "$BERTH" "$c" --help
	grep -q "^usage: berth $c" "$T/out" && ok "usage of $c" || fail "usage of $c" "$(head -n 3 "$T/out")"
done
exits "two schemas" 2 "$BERTH" schema plan probe
one_sentence "two schemas: one sentence"
for c in "schema plan" "completion bash" help; do
	# shellcheck disable=SC2086 # a command and its word
	"$BERTH" $c >/dev/full 2>"$T/err"
	[ $? -eq 5 ] && ok "$c to a full disk" || fail "$c to a full disk" "not 5"
	one_sentence "$c to a full disk: one sentence"
done

# The program finds its parts wherever it is started from, through a link too.
ln -s "$BERTH" "$T/b"
(cd / && "$T/b" probe --help >/dev/null) && ok "runs through a link from /" || fail "runs through a link from /" "failed"

# Installed: the same, below a prefix with a space in its name, without the build tree's help.
if make -s install DESTDIR="$T/a dest" PREFIX=/opt/berth BUILD="$BUILD" SAN="${SAN:-}" CC="${CC:-gcc}" >"$T/install" 2>&1; then
	ok "make install"
	env -i PATH=/usr/bin:/bin "$T/a dest/opt/berth/bin/berth" probe --json >"$T/out" 2>"$T/err" &&
		ok "installed probe runs" || fail "installed probe runs" "$(head -c 400 "$T/err")"
	[ -s "$T/a dest/opt/berth/share/man/man1/berth-plan.1" ] && ok "man pages are installed" || fail "man pages are installed" absent
	if [ -e "$BUILD/libexec/berth/core" ]; then
		"$T/a dest/opt/berth/libexec/berth/core" --list-devices --json >"$T/out" 2>"$T/err" &&
			ok "installed core finds the engine" || fail "installed core finds the engine" "$(head -c 400 "$T/err")"
	fi
else
	fail "make install" "$(tail -n 5 "$T/install")"
fi
finish
