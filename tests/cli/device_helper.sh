#!/bin/sh
# What lets an ordinary user ask for changes: the files that polkit and udev read, and the helper that pkexec starts.
. tests/lib.sh

make -s install DESTDIR="$T/d" PREFIX=/usr BUILD="$BUILD" SAN="${SAN:-}" CC="${CC:-gcc}" >"$T/log" 2>&1 ||
	fail "make install" "$(tail -n 5 "$T/log")"
policy=$T/d/usr/share/polkit-1/actions/org.berth.device.policy
rules=$T/d/usr/lib/udev/rules.d/70-berth-vfio.rules
helper=$T/d/usr/libexec/berth/device-helper

# ---- files that others read

dtd=/usr/share/polkit-1/policyconfig-1.dtd
exits "polkit's DTD accepts the actions" 0 xmllint --noout --nonet --dtdvalid $dtd "$policy"
n=$(grep -c 'exec.path">/usr/libexec/berth/device-helper<' "$policy")
[ "$n" -eq 4 ] && ok "each action names the helper" || fail "each action names the helper" "$n of 4"
grep -q '@' "$policy" && fail "nothing is left to fill in" "$(grep @ "$policy")" || ok "nothing is left to fill in"
setuid=$(find "$T/d" -perm /6000)
[ -z "$setuid" ] && ok "nothing is setuid" || fail "nothing is setuid" "$setuid"
grep -q '^g berth ' "$T/d/usr/lib/sysusers.d/berth.conf" && ok "the group is declared" || fail "the group is declared" absent

# udevadm has verify since systemd 254; the group of a rule need not be here.
if udevadm verify --help >"$T/out" 2>&1; then
	exits "udev accepts the rules" 0 udevadm verify --no-summary --resolve-names=never "$rules"
else
	ok "udev accepts the rules (not asked: this systemd cannot verify)"
fi
# What the rules run: yes for what is kept for guests, or is theirs for now, and only there.
mkdir -p "$T/etc/driverctl.d"
# function GROUP ADDRESS OVERRIDE
function_of() {
	mkdir -p "$T/sys/bus/pci/devices/$2" "$T/sys/kernel/iommu_groups/$1/devices"
	echo "$3" >"$T/sys/bus/pci/devices/$2/driver_override"
	ln -s "$T/sys/bus/pci/devices/$2" "$T/sys/kernel/iommu_groups/$1/devices/$2"
}
function_of 14 0000:01:00.0 '(null)'
function_of 14 0000:01:00.1 '(null)'
function_of 15 0000:02:00.0 '(null)'
function_of 17 0000:03:00.0 vfio-pci
echo vfio-pci >"$T/etc/driverctl.d/pci-0000:01:00.1"
echo amdgpu >"$T/etc/driverctl.d/pci-0000:02:00.0"
# judged SUBSYSTEM NAME WANT
judged() {
	sed -n "s|^SUBSYSTEM==\"$1\",.*PROGRAM==\"/bin/sh -c '\(.*\)'\", GROUP.*|\1|p" "$rules" |
		sed -e "s|%[kb]|$2|g; s|/sys/|$T/sys/|g; s|/etc/|$T/etc/|g" -e 's|[$][$]|$|g' >"$T/judge"
	[ -s "$T/judge" ] || fail "the rule runs something" "$(cat "$rules")"
	exits "$1 $2 is judged" "$3" sh -c '(. "$0") || exit 1' "$T/judge"
}
judged vfio 14 0
judged vfio 15 1
judged vfio 16 1
judged vfio 17 0
judged vfio-dev 0000:01:00.0 1
judged vfio-dev 0000:01:00.1 0
judged vfio-dev 0000:03:00.0 0
node -e '
	const vm = require("vm"), fs = require("fs");
	let rule;
	const polkit = { Result: { YES: "yes" }, addRule: f => { rule = f; } };
	vm.runInNewContext(fs.readFileSync(process.argv[1], "utf8"), { polkit });
	const who = (local, active, group) => ({ local, active, isInGroup: g => group && g === "berth" });
	const ask = (id, s) => rule({ id: "org.berth.device." + id }, s) || "no";
	console.log(ask("power", who(true, true, true)), ask("sleep", who(true, true, true)),
		ask("manage", who(true, true, true)), ask("force", who(true, true, true)),
		ask("power", who(false, true, true)), ask("power", who(true, false, true)),
		ask("power", who(true, true, false)));' "$T/d/usr/share/doc/berth/examples/50-berth-power.rules" >"$T/out" 2>&1
[ "$(cat "$T/out")" = "yes yes no no no no no" ] && ok "the example lets set power, and nothing else" ||
	fail "the example lets set power, and nothing else" "$(cat "$T/out")"

# ---- the helper: a device beside it that tells what it got

cat >"$T/d/usr/libexec/berth/device" <<'D'
#!/bin/sh
echo "args: $*"
env | sort
echo "umask $(umask) in $PWD, $(ls /proc/self/fd | wc -l) descriptors"
D
exits "a helper without words refuses" 2 "$helper"
one_sentence "in one sentence"
for bad in 'manage list' 'power bind 01:00.0 nvidia' 'manage bind /etc/passwd x' \
	'manage bind 01:00.0 --machine x' 'manage eject 01:00.0 --force' 'manage bind 01:00.0 -m'; do
	# shellcheck disable=SC2086
	exits "refused: $bad" 2 "$helper" $bad
done
[ ! -s "$T/out" ] && ok "and nothing was started" || fail "and nothing was started" "$(cat "$T/out")"
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$T"
	(
		umask 0
		cd "$T" && exec env -i EVIL=1 LD_DEBUG_OUTPUT="$T/ld" BERTH_STATE_DIR="$T" BERTH_NVML="$T/x" PKEXEC_UID=1000 PATH="$T:$PATH" \
			"$helper" manage bind 0000:01:00.0 vfio-pci --persist
	) >"$T/out" 2>&1 5<"$0" 6<"$0"
	# sh sets PWD, SHLVL and _ itself; ls has a descriptor of its own.
	grep -v -e '^PWD=' -e '^SHLVL=' -e '^_=' -e '^OLDPWD=' "$T/out" >"$T/clean"
	cat >"$T/want" <<-W
		args: bind 0000:01:00.0 vfio-pci --persist
		LC_ALL=C
		PATH=/usr/sbin:/usr/bin:/sbin:/bin
		PKEXEC_UID=1000
		umask 0022 in /, 4 descriptors
	W
	cmp -s "$T/want" "$T/clean" && ok "the words arrive, and nothing else" ||
		fail "the words arrive, and nothing else" "$(diff "$T/want" "$T/clean")"
	exits "started by hand it says so" 2 setpriv --reuid 65534 --clear-groups "$helper" manage undo
	says "and why" "does not run as root"
fi

# ---- an ordinary user: planned without rights, carried out by the helper, which pkexec starts

if [ "$(id -u)" -ne 0 ] || [ ! -e /sys/bus/pci/rescan ]; then
	echo "ok an ordinary user asks pkexec (not asked: no second user, or no PCI bus)"
	finish
fi
# The program itself again, where only root may change it.
cp "$BUILD/libexec/berth/device" "$T/d/usr/libexec/berth/device"
mkdir "$T/bin" "$T/told" && chmod 777 "$T/told"
cat >"$T/bin/pkexec" <<P
#!/bin/sh
echo "\$*" >"$T/told/asked"
exit "\$(cat "$T/answer")"
P
chmod +x "$T/bin/pkexec"
berth=$T/d/usr/bin/berth
user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent PATH="$T/bin:/usr/bin:/bin" "$@"
}
# asked NAME WORDS: what pkexec was told, if anything
asked() {
	got=$(cat "$T/told/asked" 2>/dev/null)
	rm -f "$T/told/asked"
	[ "$got" = "$2" ] && ok "$1" || fail "$1" "pkexec was told '$got', not '$2'"
}
echo 0 >"$T/answer"
exits "the helper does it" 0 user "$berth" device rescan -q
asked "asked by its action" "$helper manage rescan --quiet"
exits "with --force" 0 user "$berth" device rescan --force
asked "it is another action" "$helper force rescan --force"
exits "--dry-run asks nobody" 0 user "$berth" device rescan --dry-run
asked "nobody was" ""
exits "list asks nobody" 0 user "$berth" device list
asked "nobody was here either" ""
for code in 1 4 5 6; do
	echo $code >"$T/answer"
	exits "what the helper ends with, $code" $code user "$berth" device rescan
done
for code in 126 127; do
	echo $code >"$T/answer"
	exits "pkexec ends with $code" 5 user "$berth" device rescan
	one_sentence "in one sentence, $code"
	says "that names sudo, $code" "nothing was changed: .*; run: sudo berth device rescan$"
done
rm "$T/bin/pkexec" "$T/told/asked"
if ! command -v pkexec >/dev/null; then
	exits "without pkexec" 5 user "$berth" device rescan
	says "it names sudo, too" "there is no pkexec here.*sudo berth device rescan"
fi
# Rights are not lent to what somebody else may change.
printf '#!/bin/sh\necho "$*" >"%s/told/asked"\n' "$T" >"$T/bin/pkexec" && chmod +x "$T/bin/pkexec"
for what in "$helper" "${helper%/*}" "$T/d"; do
	chmod o+w "$what"
	exits "others may write ${what##*/}" 5 user "$berth" device rescan
	says "and it says so, ${what##*/}" "others than root may change this berth"
	chmod o-w "$what"
done
asked "pkexec was not asked" ""
finish
