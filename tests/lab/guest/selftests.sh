# The kernel's own tests of VFIO, after lib.sh: the programs of selftests.sh, at $SELFTESTS.
# shellcheck shell=dash

# selftests ADDRESS: one line for each test into $T/tests, "pass PROGRAM TEST" or "skip ..." or "fail ..."; what the programs
# said is in $T/said
selftests() {
	: >$T/tests
	: >$T/said
	for p in "$SELFTESTS"/*_test; do
		"$p" "$1" >$T/one 2>&1 </dev/null 3>&-
		s_rc=$?
		echo "--- ${p##*/}: exit $s_rc" >>$T/said
		cat $T/one >>$T/said
		sed -n -e "s/^ok [0-9]* \([^ ]*\) # SKIP.*/skip ${p##*/} \1/p" -e t -e "s/^ok [0-9]* \([^ ]*\).*/pass ${p##*/} \1/p" \
			-e "s/^not ok [0-9]* \([^ ]*\).*/fail ${p##*/} \1/p" $T/one >>$T/tests
		# One that has nothing to test ends by itself; one that cannot begin, too.
		grep -q '^\(not \)\?ok ' $T/one || case $s_rc in
		4) echo "skip ${p##*/} all" >>$T/tests ;;
		*) echo "fail ${p##*/} all" >>$T/tests ;;
		esac
	done
}
