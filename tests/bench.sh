#!/bin/sh
# Every benchmark: each prints lines with a ratio against a peer measured in the same run.
set -u
export LC_ALL=C BUILD BERTH="$PWD/$BUILD/bin/berth"
rc=0
for b in tests/bench/*.sh; do
	echo "== $(basename "$b" .sh)"
	sh "$b" || rc=1
done
exit "$rc"
