# Prints the kernel's log but for the reports of lockdep that a line of the table names and none of our functions is in:
# awk -f circles.awk circles LOG
BEGIN { FS = "\t" }
FILENAME == ARGV[1] {
	if ($0 !~ /^#/) known[$1] = 1
	next
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
		if (!(wanted in known) || report ~ /berth_vfio|bv_/) print report
		report = ""
	}
}
END { if (report != "") print report }
