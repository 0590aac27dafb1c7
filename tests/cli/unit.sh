#!/bin/sh
# SPDX-License-Identifier: MIT
# berth unit: the units of a profile, as systemd itself understands them.
. tests/lib.sh
[ -x "$BUILD/libexec/berth/unit" ] || skip "launch is not built"
export HOME="$T/home" XDG_CONFIG_HOME="$T/config"
mkdir -p "$T/config/berth/profiles.d" "$T/home" "$T/units"
dir=$T/config/berth/profiles.d

# profile NAME LINE...
profile() {
	file=$dir/$1.conf
	shift
	printf '%s\n' "$@" >"$file"
}
has() {
	if grep -qx -e "$2" "$T/out"; then ok "$1: $2"; else fail "$1: $2" "$(cat "$T/out")"; fi
}
is() {
	if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "'$3', not '$2'"; fi
}
# bad NAME STATUS PATTERN ARGUMENTS...
bad() {
	name=$1 status=$2 pattern=$3
	shift 3
	exits "$name" "$status" "$BERTH" unit "$@"
	one_sentence "$name: one sentence"
	says "$name: says so" "$pattern"
	is "$name: shows nothing" "" "$(cat "$T/out")"
}
# verified NAME: systemd has nothing to say of the units just written
verified() {
	if systemd-analyze verify --man=no "$T"/units/berth-* >"$T/said" 2>&1 && [ ! -s "$T/said" ]; then
		ok "$1: systemd understands it"
	else
		fail "$1: systemd understands it" "$(cat "$T/said")"
	fi
	rm -f "$T"/units/*
}

profile chat 'model = /srv/m.gguf' 'ctx = 4096'
exits "a user's unit" 0 "$BERTH" unit chat
has "a user's unit" 'ExecStart=".*/bin/berth" launch --serve --name chat chat'
has "a user's unit" 'WantedBy=default.target'
exits "a system's unit" 0 "$BERTH" unit chat --system --cpus 0-3
says "a system's unit: of a profile that it will not see" "copy it to /etc/berth/profiles.d"
has "a system's unit" 'DynamicUser=yes'
has "a system's unit" 'CPUAffinity=0-3'
has "a system's unit" 'IPAddressAllow=localhost'
has "a system's unit" 'WatchdogSec=[0-9]*'
has "a system's unit" 'RestartPreventExitStatus=.*7'

# power limits: the run has no rights, so systemd sets them, for GPUs that are known beforehand
profile quiet 'model = /srv/m.gguf' 'power-cap = 250'
bad "a limit for nobody knows which GPUs" 4 "systemd sets the power limits of this run" quiet --system
exits "a user's limits are the run's own matter" 0 "$BERTH" unit quiet
has "a user's limits" 'ExecStart=".*/bin/berth" launch --serve --name quiet quiet'
profile quiet 'model = /srv/m.gguf' 'device = 0000:03:00.0,0000:00:02.0' 'power-cap = 250,00:02.0=default'
exits "limits of named devices" 0 "$BERTH" unit quiet --system --machine "$(machine three)"
has "limits" 'ExecStartPre=+".*/bin/berth" device power 0000:03:00.0 --cap 250 --wake --for unit-quiet-0000:03:00.0'
has "limits" 'ExecStopPost=+-".*/bin/berth" device undo --for unit-quiet-0000:00:02.0'
has "limits" 'ExecStart=".*/bin/berth" launch --serve --name quiet --power-cap none quiet'
profile quiet 'model = /srv/m.gguf' 'power-cap = lots'
bad "a limit that is none" 4 "power-cap: 'lots' is no number" quiet --system

# devices: those that are named, by what this machine says of them
three=$(machine three)
profile gone 'model = /srv/m.gguf' 'device = 0000:fe:00.0'
profile named 'model = /srv/m.gguf' 'device = 0000:03:00.0,0000:00:02.0'
exits "named devices" 0 "$BERTH" unit named --system --machine "$three"
grep '^Device' "$T/out" >"$T/lines"
cp -R "$BUILD/tests/machines/nvml" "$T/nv"
mkdir -p "$T/nv/proc/driver/nvidia/gpus/0000:61:00.0"
printf 'Model: \t\t fake\nDevice Minor: \t 2\n' >"$T/nv/proc/driver/nvidia/gpus/0000:61:00.0/information"
profile green 'model = /srv/m.gguf' 'device = 0000:61:00.0'
exits "a device of NVIDIA's" 0 "$BERTH" unit green --system --machine "$T/nv"
grep '^Device' "$T/out" >>"$T/lines"
golden unit-devices.txt "$T/lines"
bad "a device that is not here" 1 "0000:fe:00.0" gone --system --machine "$three"

# how exposed systemd finds it: 0 is nothing, 10 all
if systemd-analyze security --help 2>/dev/null | grep -q -e --offline; then
	"$BERTH" unit chat --system -o "$T/units" >/dev/null
	run systemd-analyze security --offline=yes --no-pager --threshold=20 "$T/units/berth-chat.service"
	is "exposure of at most 2.0" "0" "$rc"
	rm -f "$T"/units/*
fi
for how in --user --system "--system --cpus 0" "--user --socket" "--system --socket"; do
	exits "written $how" 0 "$BERTH" unit chat $how -o "$T/units"
	is "written $how: its paths" "$(ls -d "$T"/units/* | sort)" "$(sort "$T/out")"
	verified "written $how"
done
profile open 'model = /home/me/m.gguf' 'listen = 0.0.0.0:8470' 'listen = unix:/run/x' 'ollama = yes'
exits "sockets" 0 "$BERTH" unit open --system --socket -o "$T/units"
is "three units" "berth-open-ollama.socket berth-open.service berth-open.socket" "$(ls "$T/units" | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')"
cat "$T"/units/* >"$T/out"
has "sockets" 'ListenStream=0.0.0.0:8470'
has "sockets" 'ListenStream=/run/x'
has "sockets" 'ListenStream=127.0.0.1:11434'
has "sockets" 'ProtectHome=read-only'
grep -q IPAddress "$T/out" && fail "it listens to others" "and may not" || ok "it listens to others, and may"
verified "sockets"
profile cpu 'model = /srv/m.gguf' 'device = cpu' 'accept = cpu'
exits "no GPU" 0 "$BERTH" unit cpu --system -o "$T/units"
verified "no GPU"

exits "installed" 0 "$BERTH" unit chat --install
is "where systemd looks" "$T/config/systemd/user/berth-chat.service" "$(cat "$T/out")"
exits "installed again" 0 "$BERTH" unit chat --install
echo '[Unit]' >"$T/config/systemd/user/berth-chat.service"
bad "somebody else's unit" 5 "is not a unit that berth wrote" chat --install
is "it is left alone" "[Unit]" "$(cat "$T/config/systemd/user/berth-chat.service")"

bad "no profile" 1 "there is no profile 'zork'" zork
profile broken 'model = x' 'ctxx = 1'
bad "a broken profile" 4 "broken.conf: line 2: there is no option" broken
profile store 'model = llama3.2:3b'
bad "a system has no stores" 4 "give model as an absolute path" store --system
profile away 'model = /srv/m.gguf' 'detach = yes'
bad "a run that leaves its service" 4 "take detach out" away --system
profile near 'model = /srv/m.gguf' 'lora = a.gguf=0.5'
bad "an adapter in no folder" 4 "give lora as an absolute path" near --system
profile none 'ctx = 1'
bad "no model" 4 "names no model" none
bad "no name" 2 "is no name of a profile" ../chat
bad "two managers" 2 "contradict" chat --user --system
bad "no list of CPUs" 2 "no list such as" chat --cpus zork
bad "nothing" 2 "give one PROFILE"
bad "no such folder" 1 "units" chat -o "$T/none/units"
finish
