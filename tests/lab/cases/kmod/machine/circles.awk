# Prints the kernel's log but for the reports of lockdep that a line of the table excuses: awk -f circles.awk circles LOG
BEGIN { FS = "\t" }
FILENAME == ARGV[1] {
	if ($0 !~ /^#/) {
		locks[++rows] = " " $1 " "
		ours[rows] = " " $2 " "
	}
	next
}
# named: every word is among those of the list
function named(words, list,  n, i, word) {
	n = split(words, word, " ")
	for (i = 1; i <= n; i++)
		if (!index(list, " " word[i] " ")) return 0
	return 1
}
function excused(  i) {
	for (i = 1; i <= rows; i++)
		if (circle != "" && named(circle, locks[i]) && named(frames, ours[i])) return 1
	return 0
}
/possible circular locking dependency detected/ {
	report = $0
	circle = frames = ""
	next
}
report == "" {
	print
	next
}
{
	report = report "\n" $0
	# "-> #2 (&b->reset.turn){+.+.}-{4:4}:", and "bv_open+0x533/0xac0 [berth_vfio]"
	if ($0 ~ /-> #[0-9]+ [(]/) {
		name = $0
		sub(/.*-> #[0-9]+ [(]/, "", name)
		sub(/[)][{].*/, "", name)
		circle = circle " " name
	}
	if ($0 ~ /[[]berth_vfio]/) {
		name = $0
		sub(/[+]0x[^+]*$/, "", name)
		sub(/.* /, "", name)
		frames = frames " " name
	}
	if ($0 ~ /<\/TASK>/) {
		if (!excused()) print report
		report = ""
	}
}
END { if (report != "") print report }
