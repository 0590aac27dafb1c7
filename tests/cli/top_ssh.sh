#!/bin/sh
# SPDX-License-Identifier: MIT
# berth top --host through a real ssh and a real sshd of our own: a port, keys and known hosts that nobody else
# has. The far end is a captured machine, read by the same berth.
. tests/lib.sh
sshd=$(PATH=$PATH:/usr/sbin:/sbin command -v sshd) || skip "no sshd is installed (openssh-server, where that starts no service)"
term=$BUILD/tests/screen/term
me=$(id -un)
trap 'kill -CONT $far 2>/dev/null; kill $pids 2>/dev/null; wait; rm -rf "$T"' EXIT
pids='' far=''
mkdir "$T/far" "$T/run"
unset SSH_AUTH_SOCK SSH_ASKPASS DISPLAY

# --- the far end ---
# A shell that greets, then berth; the environment of a login is not the test's
cat >"$T/far/berth" <<EOF
#!/bin/sh
echo "Welcome, \$USER."
echo \$\$ >"$T/far.pid"
export BERTH_RUNTIME_DIR="$T/run" ASAN_OPTIONS="$ASAN_OPTIONS" LSAN_OPTIONS="$LSAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS"
shift
exec "$BERTH" top --machine "$PWD/tests/machines/three" "\$@"
EOF
chmod +x "$T/far/berth"
for key in host other mine; do ssh-keygen -q -t ed25519 -N '' -f "$T/$key" || fail "keys" "ssh-keygen failed"; done
cp "$T/mine.pub" "$T/authorized"
# sshd as root wants this one; only an init makes it
[ "$(id -u)" -ne 0 ] || mkdir -p -m 755 /run/sshd
# Without PAM sshd refuses an account whose password is locked, as root's may be
pam=no
case $(getent shadow "$me" 2>/dev/null) in "$me":!*) pam=yes ;; esac
cat >"$T/sshd_config" <<EOF
ListenAddress 127.0.0.1
HostKey $T/host
PidFile none
AuthorizedKeysFile $T/authorized
StrictModes no
UsePAM $pam
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH=$T/far
EOF
# A newer one makes those wait that failed a moment before
"$sshd" -t -f "$T/sshd_config" -o PerSourcePenalties=no 2>/dev/null && echo "PerSourcePenalties no" >>"$T/sshd_config"

# started: our sshd listens on $port, or could not have it
started() {
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	"$sshd" -D -e -f "$T/sshd_config" -p "$port" 2>"$T/sshd.log" &
	server=$!
	wait_for listens && kill -0 "$server" 2>/dev/null || return 1
	pids=$server
}
# listens: it does, or has ended
listens() {
	grep -q '^Server listening' "$T/sshd.log" || ! kill -0 "$server" 2>/dev/null
}
started || started || started || fail "sshd" "$(cat "$T/sshd.log")"

# --- our end ---
cat >"$T/ssh_config" <<EOF
Host ws1 nobodys
 HostName 127.0.0.1
 Port $port
 User $me
Host ws1
 IdentityFile $T/mine
Host nobodys
 IdentityFile $T/other
Host closed
 HostName 127.0.0.1
 Port 1
Host *
 HostKeyAlias ws1
 IdentitiesOnly yes
 UserKnownHostsFile $T/known
 GlobalKnownHostsFile none
 LogLevel INFO
EOF
printf '#!/bin/sh\nexec ssh -F "%s/ssh_config" "$@"\n' "$T" >"$T/ssh"
chmod +x "$T/ssh"
export BERTH_SSH="$T/ssh" TERM=xterm-256color LC_ALL=C.UTF-8 XDG_CONFIG_HOME="$T/config" BERTH_RUNTIME_DIR="$T/run"

# refused NAME HOST PATTERN: no terminal to ask on, nothing comes, and why
refused() {
	exits "$1" 5 setsid -w "$BERTH" top --host "$2" --once
	says "$1: says why" "nothing came from $2: .*$3"
	one_sentence "$1: in one sentence"
}
# in_term NAME SCRIPT...
in_term() {
	name=$1
	shift
	printf '%s\n' "$@" >"$T/script"
	if "$term" 80x24 "$T/script" "$BERTH" top --host "$me@ws1"; then ok "$name"; else fail "$name" "$(cat "$T/sshd.log")"; fi
}

refused "a host that is not known" "$me@ws1" 'Host key verification failed'
in_term "is asked about, and known then" 'wait (yes/no' 'keys yes\r' "wait REMOTE $me@ws1" 'wait 03:00.0 Radeon' \
	'keys ?' 'wait Show or hide this page' 'keys \e' 'wait 03:00.0 Radeon' 'size 60x10' 'wait 03:00.0 Radeon' \
	'size 120x36' 'wait POWER 60 s' 'keys K' 'wait Only processes of this machine' 'keys q' 'exit 0'
exits "a known one" 0 "$BERTH" top --host "$me@ws1" --once
if grep -q "REMOTE $me@ws1" "$T/out" && grep -q '^03:00.0 Radeon RX 7900 XT .*1.2/24.0 GiB' "$T/out"; then ok "its devices"; else fail "its devices" "$(cat "$T/out")"; fi
exits "a known one, for programs" 0 "$BERTH" top --host "$me@ws1" --once --json
valid "a known one" top "$T/out"
refused "a key that it does not take" "$me@nobodys" 'Permission denied'
refused "nobody listens" "$me@closed" 'Connection refused'
refused "no such host" "$me@nowhere.invalid" 'Could not resolve hostname'
mv "$T/far/berth" "$T/far/other"
refused "berth is not there" "$me@ws1" 'berth has to be installed there'
mv "$T/far/other" "$T/far/berth"
echo "ws1 $(cut -d ' ' -f 1-2 "$T/other.pub")" >"$T/known.other"
mv "$T/known" "$T/known.true" && mv "$T/known.other" "$T/known"
refused "a host that has another key than it had" "$me@ws1" 'Host key verification failed'
mv "$T/known.true" "$T/known"

# --- what becomes of it in the middle ---
# meanwhile NAME SCRIPT...: in a terminal, beside what follows; $far is the process that reads there
meanwhile() {
	title=$1
	shift
	rm -f "$T/far.pid" "$T/seen"
	{ in_term "$title" 'wait 03:00.0 Radeon' "dump $T/seen" "$@"; } >"$T/meanwhile" &
	beside=$!
	wait_for test -s "$T/seen" || fail "$title" "nothing was shown"
	far=$(cat "$T/far.pid")
}
done_with() {
	wait "$beside"
	cat "$T/meanwhile"
	grep -q '^FAIL' "$T/meanwhile" && failures=$((failures + 1))
}
gone() {
	! kill -0 "$1" 2>/dev/null
}
# sessions: what our sshd runs for those who came in
sessions() {
	for p in $(pgrep -P "$server"); do
		pgrep -P "$p" sshd
		echo "$p"
	done
}

meanwhile "silence is told, and its end" 'wait nothing came from' 'wait these are its last numbers' \
	"dump $T/silent" 'gone nothing came from' 'wait 03:00.0 Radeon' 'keys q' 'exit 0'
kill -STOP "$far"
wait_for test -s "$T/silent"
kill -CONT "$far"
done_with
wait_for gone "$far" && ok "nobody reads there any more" || fail "nobody reads there any more" "$far lives"

meanwhile "a connection that is cut" "wait $me@ws1 has ended: Connection" 'wait 03:00.0 Radeon' 'keys ?' \
	'wait Show or hide this page' 'keys q' 'exit 0'
kill $(sessions)
done_with
wait_for gone "$far" && ok "nobody reads on there" || fail "nobody reads on there" "$far lives"

meanwhile "one that hangs is left" 'keys q' 'exit 0'
kill -STOP "$far"
done_with
kill -CONT "$far"
wait_for gone "$far" && ok "nor there" || fail "nor there" "$far lives"
far=''
finish
