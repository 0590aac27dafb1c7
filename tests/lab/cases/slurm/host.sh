#!/bin/sh
# launch --slurm with Slurm itself: host.sh OUT. slurmctld, slurmd and munge run in name spaces of their own, on this system's
# files with Debian's packages laid over them, so that nothing is installed and no port is taken; a captured machine
# is their /sys. No virtual machine: it would need a whole system inside. Prints results; 77 and a reason: it cannot be done here.
set -eu
: "${BUILD:=build}"
out=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth/lab
name_spaces='unshare --mount --net --pid --uts --ipc --fork --propagation private'

skip() {
	echo "$*"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "Slurm's daemons want root"
command -v apt-get >/dev/null || skip "Slurm comes from Debian's packages, and there is no apt-get"
$name_spaces true 2>/dev/null || skip "name spaces are not allowed here"
mkdir -p "$out/files" "$cache"

# --- the packages: those that this system lacks, as apt finds them; kept by their versions ---
wanted='slurmd slurmctld slurm-client munge'
# shellcheck disable=SC2086 # one word per package
lacking=$(apt-get install -s --no-install-recommends $wanted 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p')
[ -n "$lacking" ] || command -v slurmd >/dev/null || skip "apt knows no packages of Slurm"
packages=$cache/slurm-$(echo "$lacking" | sha256sum | cut -c 1-16)
if [ ! -d "$packages" ]; then
	rm -rf "$packages.new"
	mkdir -p "$packages.new/deb" "$packages.new/root"
	# shellcheck disable=SC2086 # one word per package
	(cd "$packages.new/deb" && apt-get -qq -o APT::Sandbox::User=root download $lacking) >"$out/apt" 2>&1 ||
		skip "Slurm's packages cannot be fetched: $(tail -n 1 "$out/apt")"
	for deb in "$packages.new"/deb/*.deb; do
		dpkg-deb -x "$deb" "$packages.new/root"
	done
	rm -rf "$packages.new/deb"
	mv "$packages.new" "$packages"
fi

# --- what the case brings: our programs with a core that has no engine, a model, and the machine ---
b=$out/berth
mkdir -p "$b/bin" "$b/libexec/berth"
cp "$BUILD/bin/berth" "$b/bin/"
for p in launch ps probe plan; do cp "$BUILD/libexec/berth/$p" "$b/libexec/berth/"; done
cp tests/fake/core.py "$b/libexec/berth/core"
chmod +x "$b/libexec/berth/core"
"$BUILD/tests/modelgen/modelgen" -o "$out/it's a model.gguf"
cp -R "$BUILD/tests/machines/twosocket" "$out/machine"
find "$out/machine/sys/devices" -name class -exec dirname {} \; | while read -r d; do
	for f in vendor device subsystem_vendor subsystem_device revision irq; do
		[ -e "$d/$f" ] || echo 0x0000 >"$d/$f"
	done
	[ -e "$d/config" ] || head -c 256 /dev/zero >"$d/config"
done
cp tests/lab/cases/slurm/slurm.conf tests/lab/cases/slurm/inside.sh "$out/"
# shellcheck disable=SC2086 # several words
exec timeout -k 10 600 $name_spaces sh tests/lab/cases/slurm/root.sh "$out" "$packages/root"
