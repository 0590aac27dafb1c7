# shellcheck shell=dash
# Again and again: bound, opened and mapped by programs, while it is taken away from under them in each of the ways that there
# are. By revoke.sh; /case/long says how often.
times=$(cat /case/long)
run vfio_cycle $FIXED 2 "$times" /case/berth_vfio.ko
cp $T/stdout /out/cycles
cycles() {
	awk -v name="$1" '$1 == name { print $2 }' $T/stdout
}
is "$times times it is taken away: $(tr '\n' ' ' <$T/stdout)" "$rc $(cycles wrong) $(cycles cycles)" "0 0 $times"
is "by an iommufd, too" "$(cycles by_iommufd)" $((times / 3))
true_that "and often while it was used" [ "$(cycles removals)" -gt $((times / 3)) ]
# A kernel that looks for bugs takes its time.
if [ ! -e "$LEAKS" ]; then
	true_that "no removal ends later than a second after the last program has closed it" [ "$(cycles slowest_ms)" -lt 1000 ]
fi
