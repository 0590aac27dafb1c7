# Helpers of the cases that drive `berth device`, after lib.sh.
# shellcheck shell=dash

# What a verb may change: of each function its driver, override, power policy and registers; and the files that are ours
# to write.
state() {
	for d in "$PCI"/*; do
		for f in driver_override power/control d3cold_allowed enable resource; do
			[ ! -e "$d/$f" ] || sed "s|^|${d##*/} $f |" "$d/$f"
		done
		echo "${d##*/} driver $(driver_of "${d##*/}")"
	done
	find /etc /run -type f -exec md5sum {} +
}
