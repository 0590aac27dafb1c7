# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # BUILD, T, rc: lib.sh
# After lib.sh: a berth whose core is tests/fake/core.py, and what to ask of runs that stay.
[ -x "$BUILD/libexec/berth/launch" ] || skip "launch was not built"
b=$T/b
mkdir -p "$b/bin" "$b/libexec/berth" "$T/run" "$T/state"
cp "$BUILD/bin/berth" "$b/bin/"
for p in launch ps stop restart logs plan; do cp "$BUILD/libexec/berth/$p" "$b/libexec/berth/"; done
cp tests/fake/core.py "$b/libexec/berth/core"
chmod +x "$b/libexec/berth/core"
BERTH=$b/bin/berth
export BERTH_RUNTIME_DIR="$T/run" BERTH_STATE_DIR="$T/state" FAKE_CORE="$T/core" FAKE_DEVICES="$T/devices"
chmod 700 "$T/run" "$T/state"
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
"$BUILD/tests/modelgen/modelgen" -o "$T/m.gguf" || fail model "modelgen failed"
sock=$T/s.sock
. tests/lib_record.sh

# cores HOW...: how the next starts go
cores() {
	rm -f "$T"/core.*
	printf '%s\n' "$@" >"$T/core"
}
# up STATUS ARGUMENTS...: a detached run called a
up() {
	want=$1
	shift
	run "$BERTH" launch -d --name a "$T/m.gguf" --accept cpu --listen "unix:$sock" "$@"
	[ "$rc" -eq "$want" ] || fail "start" "exit $rc, not $want: $(cat "$T/err")"
}
# ask [PATH]: status line and body of an answer on the socket
ask() {
	python3 - "$sock" "${1:-/v1/models}" <<-'EOF'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(60)
		s.connect(sys.argv[1])
		s.sendall(f"GET {sys.argv[2]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
		got = b""
		while part := s.recv(4096):
		    got += part
		print(got.decode().replace("\r", ""), end="")
	EOF
}
# seen FILE KEY: of what the core noted at its start
seen() {
	python3 -c 'import json,sys; print(eval(sys.argv[2], {"o": json.load(open(sys.argv[1]))}))' "$T/core.$1" "$2"
}
body() {
	ask | tail -n 1
}
left_behind() {
	is "$1: nothing is left behind" "" "$(ls "$T/run")"
	[ -e "$sock" ] && fail "$1: the socket is removed" "it is there" || ok "$1: the socket is removed"
}
stop() {
	run "$BERTH" stop a
	is "$1 stops" "0 berth stop: a has ended" "$rc $(cat "$T/err")"
	left_behind "$1"
}
