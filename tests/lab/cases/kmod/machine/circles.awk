# Prints the kernel's log but for the reports of lockdep that a line of the table names and nothing of ours is in but what that
# line names: awk -f circles.awk circles LOG
BEGIN { FS = "\t" }
FILENAME == ARGV[1] {
	if ($0 !~ /^#/) known[$1] = $2
	next
}
# ours: a line tells of the module, and not of what may be there
function ours(line, may,  n, i, word) {
	if (line !~ /[[]berth_vfio]|bv_|[(]&b->/) return 0
	n = split(may, word, " ")
	for (i = 1; i <= n; i++)
		if (line ~ "[ &(]" word[i] "[+)]") return 0
	return 1
}
function excused(report, wanted,  n, i, line) {
	if (!(wanted in known)) return 0
	n = split(report, line, "\n")
	for (i = 1; i <= n; i++)
		if (ours(line[i], known[wanted])) return 0
	return 1
}
function lock(line) {
	sub(/^[^(]*\(/, "", line)
	name = at = line
	sub(/\)\{.*/, "", name)
	sub(/.* at: /, "", at)
	sub(/\+.*/, "", at)
	return name " " at
}
/possible circular locking dependency detected/ {
	report = $0
	wanted = ""
	locks = 0
	next
}
report == "" {
	print
	next
}
{
	report = report "\n" $0
	if ($0 ~ /is trying to acquire lock:|already holding lock:/) {
		asked = 1
	} else if (asked) {
		wanted = wanted (locks++ ? " " : "") lock($0)
		asked = 0
	}
	if ($0 ~ /<\/TASK>/) {
		if (!excused(report, wanted)) print report
		report = ""
	}
}
END { if (report != "") print report }
