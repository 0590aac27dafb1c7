#!/bin/sh
# make deps without a network: fetch.sh with a fake npm and small packages of our own making,
# packages.sh on systems that are not this one. Run from the repository's root.

set -u
for tool in gcc git patchelf flock; do
	command -v $tool >/dev/null || {
		echo "$tool is missing"
		exit 77
	}
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
failed=0
fetch=core/engine/fetch.sh
packages=base/deps/packages.sh
build=$dir/build
engine=$build/engine
cache=$dir/cache/engine
unset BERTH_ENGINE_BACKENDS XDG_CACHE_HOME
export BERTH_CACHE_DIR="$dir/cache" BERTH_ENGINE_PINS="$dir/pins.tsv"
export PKG_CONFIG_PATH="$dir/pc" PKG_CONFIG_LIBDIR="$dir/pc"	# no llama of this system
export BERTH_OS_RELEASE="$dir/fedora"	# so that nothing here can ever install a package
real_path=$PATH

# ---- the pieces

result() { # $1 name, $2 0 for good
	if [ "$2" = 0 ]; then
		echo "ok $1"
	else
		echo "FAIL $1"
		sed 's/^/    /' "$dir/err"
		failed=1
	fi
}

library() { # $1 path, $2 a number to tell builds apart, then what it needs
	so=$1 number=$2
	shift 2
	# shellcheck disable=SC2016
	echo "int berth_test_$number;" | gcc -shared -fPIC -nostdlib -x c - -x none -o "$so" \
		-Wl,-soname,"${so##*/}" -Wl,-rpath,'$ORIGIN:' -Wl,--no-as-needed "$@"
}

pack() { # $1 name: its package/ folder becomes the tarball fake-$1-1.0.tgz
	echo "a licence" >"$dir/$1/package/LICENSE"
	tar -czf "$dir/npm/fake-$1-1.0.tgz" -C "$dir/$1" package
}

row() { # gives, dir, take, needs; the tarball is fake-GIVES-1.0.tgz
	file=$dir/npm/fake-$1-1.0.tgz
	sum=$(sha512sum <"$file")
	printf '%s\t@fake/%s\t1.0\tfake-%s-1.0.tgz\t%s\t9.9-test\t%s\t%s\t%s\t%s\n' "$1" "$1" "$1" \
		"$(wc -c <"$file")" "$2" "$3" "$4" "${sum%% *}"
}

make_packages() {
	mkdir -p "$dir/npm" "$dir/cpu/package/b" "$dir/gpu/package/b" "$dir/alien/package/b" \
		"$dir/headers/package/llama" "$dir/src/include" "$dir/src/ggml/include"
	b=$dir/cpu/package/b
	library "$b/libggml-base.so" 1
	library "$b/libggml.v9.so" 2 "$b/libggml-base.so"
	library "$b/libllama.v9.so" 3 "$b/libggml.v9.so"
	library "$b/libggml-cpu-old.so" 4 "$b/libggml-base.so"
	library "$dir/gpu/package/b/libggml-gpu.so" 5 "$b/libggml-base.so"
	echo "not wanted" >"$b/llama-addon.node"
	cp "$b/libggml-base.so" "$dir/gpu/package/b/"
	library "$dir/alien/package/b/libggml-base.so" 6
	cp "$dir/gpu/package/b/libggml-gpu.so" "$dir/alien/package/b/libggml-alien.so"
	echo "#define LLAMA 9" >"$dir/src/include/llama.h"
	echo "#define GGML 9" >"$dir/src/ggml/include/ggml.h"
	echo "another licence" >"$dir/src/LICENSE"
	(
		cd "$dir/src" || exit
		git -c init.defaultBranch=main init -q
		git add .
		git -c user.name=t -c user.email=t@example.org -c commit.gpgsign=false commit -qm t
		git bundle create -q "$dir/headers/package/llama/b.bundle" HEAD
		git rev-parse HEAD >"$dir/commit"
	)
	for name in cpu gpu alien headers; do
		pack $name
	done
	{
		row cpu b 'libllama.v9.so libggml.v9.so libggml-base.so libggml-cpu-*.so' -
		row gpu b libggml-gpu.so "lib:libtoygpu.so.1|path:$dir/dri/render* path:$dir/driver"
		row alien b libggml-alien.so path:/nonexistent
		row headers llama/b.bundle "$(cat "$dir/commit")" -
	} >"$dir/pins.tsv"
}

# A fake npm that does what the file npm-does says and notes each call.
make_tools() {
	mkdir -p "$dir/bin" "$dir/pc" "$dir/plain"
	cat >"$dir/bin/npm" <<-EOF
		#!/bin/sh
		for spec; do :; done
		echo "\$spec" >>"$dir/npm-calls"
		name=fake-\${spec#@fake/}
		file=\${name%@*}-\${name##*@}.tgz
		case \$(cat "$dir/npm-does") in
		good) cp "$dir/npm/\$file" . ;;
		fail)
			printf 'npm error code ENOTFOUND\nnpm error errno ENOTFOUND\n' >&2
			echo 'npm error network request failed, reason: getaddrinfo ENOTFOUND example.org' >&2
			echo 'npm error A complete log of this run can be found in: /x' >&2
			exit 1 ;;
		old-fail)
			printf 'npm ERR! code E404\nnpm ERR! 404 Not Found - GET x\nnpm ERR! 404\n' >&2
			exit 1 ;;
		corrupt) # as long as the real one
			head -c -1 "$dir/npm/\$file" >"\$file"
			printf X >>"\$file" ;;
		truncated) head -c 100 "$dir/npm/\$file" >"\$file" ;;
		hang)
			head -c 100 "$dir/npm/\$file" >"\$file"
			echo \$\$ >"$dir/npm-hangs"
			exec sleep 1000 ;;
		esac
	EOF
	printf '#!/bin/sh\necho x86_64\n' >"$dir/bin/uname"
	chmod +x "$dir/bin/npm" "$dir/bin/uname"
	# Everything of this system but npm, and who may say that it is installed.
	ln -s /usr/bin/* "$dir/plain/" 2>/dev/null
	rm -f "$dir/plain/npm" "$dir/plain/dpkg-query"
	printf 'ID=fedora\nVERSION_ID=44\n' >"$dir/fedora"
	printf 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n' >"$dir/debian"
	printf 'ID=other\n' >"$dir/other"
}

tool() { # $1 name, stdin its script: a fake, in front of the real one until the next fresh
	mkdir -p "$dir/fakes"
	cat >"$dir/fakes/$1"
	chmod +x "$dir/fakes/$1"
	PATH=$dir/fakes:$dir/bin:$real_path
}

fresh() { # nothing built; $1 what npm does; the cache only when $2 says so
	rm -rf "$build" "$dir/npm-calls" "$dir/fakes" "$dir/npm-hangs"
	[ "${2-}" = cached ] || rm -rf "$dir/cache"
	echo "$1" >"$dir/npm-does"
	: >"$dir/npm-calls"
	PATH=$dir/bin:$real_path
	unset BERTH_ENGINE_BACKENDS
}

run() { # the exit status in rc; what it said in out and err
	sh "$@" >"$dir/out" 2>"$dir/err"
	rc=$?
}

said() { grep -qF -- "$1" "$dir/err"; }

calls() { wc -l <"$dir/npm-calls"; }

nothing_half_done() {
	for f in "$build"/.engine.* "$cache"/tmp.*; do
		[ ! -e "$f" ] || {
			echo "left behind: $f" >>"$dir/err"
			return 1
		}
	done
	[ ! -s "$dir/out" ]
}

is_whole() { # $1 the backends
	grep -qx "ENGINE_BACKENDS := $1" "$engine/engine.mk" && nothing_half_done
}

refused() { # rc 5, and no engine
	[ $rc = 5 ] && [ ! -e "$engine" ] && nothing_half_done
}

# ---- fetch.sh

test_fetch() {
	fresh good
	run $fetch "$build"
	[ $rc = 0 ] && is_whole cpu && [ "$(calls)" = 2 ]
	result "fetches the cpu package and the headers" $?

	[ -f "$engine/include/llama.h" ] && [ -f "$engine/include/ggml.h" ] &&
		[ -s "$engine/licenses/llama.cpp" ] && [ -s "$engine/licenses/node-llama-cpp" ] &&
		[ ! -e "$engine/lib/llama-addon.node" ] &&
		grep -qx 'ENGINE_VERSION := 9.9-test' "$engine/engine.mk" &&
		grep -qx "ENGINE_LIBS := -L$engine/lib -l:libllama.v9.so -l:libggml.v9.so -l:libggml-base.so" \
			"$engine/engine.mk"
	result "takes what the core needs and names it by file" $?

	good=0
	for so in "$engine"/lib/*.so; do
		# shellcheck disable=SC2016
		[ "$(patchelf --print-rpath "$so")" = '$ORIGIN' ] || good=1
	done
	result "every RUNPATH is \$ORIGIN" $good

	echo fail >"$dir/npm-does"
	before=$(stat -c '%i %Y' "$engine" "$engine/engine.mk")
	run $fetch "$build"
	[ $rc = 0 ] && [ ! -s "$dir/err" ] && [ "$(calls)" = 2 ] &&
		[ "$before" = "$(stat -c '%i %Y' "$engine" "$engine/engine.mk")" ]
	result "does nothing the second time, and says nothing" $?

	rm "$engine/lib/libggml-base.so"
	run $fetch "$build"
	[ $rc = 0 ] && [ -f "$engine/lib/libggml-base.so" ] && [ "$(calls)" = 2 ]
	result "puts back a lost library, offline" $?

	fresh fail cached
	run $fetch "$build"
	[ $rc = 0 ] && is_whole cpu && [ "$(calls)" = 0 ]
	result "builds again from the cache, offline" $?
}

test_backends() {
	fresh good
	run $fetch "$build"
	mkdir -p "$dir/dri"
	touch "$dir/dri/renderD128"
	run $fetch "$build"
	is_whole cpu
	result "wants all that a backend needs" $?

	touch "$dir/driver"
	run $fetch "$build"
	[ $rc = 0 ] && is_whole "cpu gpu" && [ -f "$engine/lib/libggml-gpu.so" ] && [ "$(calls)" = 3 ]
	result "adds the backend of a GPU that came later" $?
	rm -r "$dir/dri"

	tool ldconfig <<-EOF
		#!/bin/sh
		printf '\tlibtoygpu.so.1 (libc6) => /lib/i386/libtoygpu.so.1\n'
	EOF
	run $fetch "$build"
	is_whole cpu
	result "a library of another architecture does not count" $?
	tool ldconfig <<-EOF
		#!/bin/sh
		printf '\tlibtoygpu.so.1 (libc6,x86-64) => /lib/libtoygpu.so.1\n'
	EOF
	run $fetch "$build"
	is_whole "cpu gpu"
	result "a library ldconfig knows does" $?
	rm "$dir/driver"

	fresh good
	export BERTH_ENGINE_BACKENDS="gpu"
	run $fetch "$build"
	[ $rc = 0 ] && is_whole "cpu gpu"
	result "BERTH_ENGINE_BACKENDS decides" $?

	export BERTH_ENGINE_BACKENDS="cpu warp"
	run $fetch "$build"
	[ $rc = 5 ] && said '"warp"' && is_whole "cpu gpu"
	result "BERTH_ENGINE_BACKENDS with an unknown name is refused" $?

	export BERTH_ENGINE_BACKENDS="cpu alien"
	run $fetch "$build"
	[ $rc = 5 ] && said "of another build" && is_whole "cpu gpu"
	result "a backend of another build is refused, the engine we had stays" $?
}

test_failures() {
	fresh fail
	run $fetch "$build"
	refused && said "cannot fetch @fake/cpu 1.0" && said "reason: getaddrinfo ENOTFOUND" &&
		said "make deps"
	result "a failed download says what, why and what to do" $?

	fresh old-fail
	run $fetch "$build"
	refused && said "404 Not Found - GET x. "
	result "an older npm's reason is found too" $?

	fresh corrupt
	run $fetch "$build"
	refused && said "its sha512 is not the pinned one" && [ -z "$(ls "$cache")" ]
	result "a changed package is thrown away" $?

	fresh truncated
	run $fetch "$build"
	refused && said "100 bytes instead of" && [ -z "$(ls "$cache")" ]
	result "a truncated package is thrown away" $?

	fresh good
	run $fetch "$build"
	echo fail >"$dir/npm-does"
	export BERTH_ENGINE_BACKENDS=gpu
	run $fetch "$build"
	[ $rc = 5 ] && is_whole cpu
	result "a failed addition leaves the engine we had" $?

	fresh good cached
	echo x >>"$cache/fake-cpu-1.0.tgz"
	run $fetch "$build"
	[ $rc = 0 ] && is_whole cpu && [ "$(calls)" = 1 ] && said "is damaged"
	result "a damaged cache is fetched again" $?

	fresh corrupt cached
	echo x >>"$cache/fake-cpu-1.0.tgz"
	run $fetch "$build"
	refused && [ "$(calls)" = 1 ] && [ ! -e "$cache/fake-cpu-1.0.tgz" ]
	result "once" $?

	fresh good
	# shellcheck disable=SC2123
	PATH=$dir/plain
	run $fetch "$build"
	refused && said "without npm" && said "dnf install npm"
	result "no npm: says how to get it" $?

	fresh good
	run $fetch --help
	[ $rc = 2 ]
	result "a wrong option is a usage error" $?
}

test_machine() {
	fresh good
	tool uname <<-EOF
		#!/bin/sh
		echo riscv64
	EOF
	run $fetch "$build"
	refused && said riscv64 && [ "$(calls)" = 0 ]
	result "another architecture is told so" $?

	fresh good
	tool getconf <<-EOF
		#!/bin/sh
		echo glibc 2.31
	EOF
	run $fetch "$build"
	refused && said "has glibc 2.31" && [ "$(calls)" = 0 ]
	result "an older glibc is told so" $?
}

test_interruption() {
	for signal in TERM KILL; do
		fresh hang
		sh $fetch "$build" >"$dir/out" 2>"$dir/err" &
		pid=$!
		i=0
		while [ ! -s "$dir/npm-hangs" ] && [ $i -lt 1200 ]; do
			sleep 0.05
			i=$((i + 1))
		done
		read -r npm <"$dir/npm-hangs"
		kill -$signal $pid
		wait $pid 2>/dev/null
		rc=$?
		if [ $signal = TERM ]; then
			[ $rc = 143 ] && [ ! -e "$engine" ] && nothing_half_done && ! kill -0 "$npm" 2>/dev/null
			result "interrupted, it leaves nothing half done" $?
		else
			[ ! -e "$engine" ] && kill "$npm"
			find "$cache" -name 'tmp.*' -exec touch -d '2 hours ago' {} +
			echo good >"$dir/npm-does"
			run $fetch "$build"
			[ $rc = 0 ] && is_whole cpu
			result "killed, the next run cleans up and succeeds" $?
		fi
	done

	fresh good
	sh $fetch "$build" 2>"$dir/err2" &
	run $fetch "$build"
	wait $! && [ $rc = 0 ] && is_whole cpu && [ "$(calls)" = 2 ]
	result "two at once do the work once" $?
}

llama_pc() { # $1 version: a llama of the system
	mkdir -p "$dir/sys/ggml/backends0"
	for name in llama ggml ggml-base; do
		library "$dir/sys/lib$name.so" 7 -Wl,-soname,lib$name.so.7
	done
	touch "$dir/sys/ggml/backends0/libggml-cpu-old.so" "$dir/sys/ggml/backends0/libggml-toy.so"
	printf 'libdir=%s\nName: llama\nDescription: a\nVersion: %s\nCflags: -I/toy\nLibs: -L%s -lllama\n' \
		"$dir/sys" "$1" "$dir/sys" >"$dir/pc/llama.pc"
}

test_system() {
	command -v pkg-config >/dev/null || return 0
	llama_pc 6.6
	fresh good
	run $fetch "$build"
	[ $rc = 0 ] && is_whole cpu && grep -qx 'ENGINE_KIND := npm' "$engine/engine.mk" &&
		said "libllama 6.6 is not a version we have tested"
	result "a system libllama nobody tested is passed over" $?

	printf 'system\tllama\t6.6\t-\t0\t6.6-sys\tggml/backends0\tllama ggml ggml-base\t-\t-\n' >"$dir/one"
	cat "$dir/pins.tsv" >>"$dir/one"
	BERTH_ENGINE_PINS=$dir/one run $fetch "$build"
	[ $rc = 0 ] && is_whole "cpu toy" && grep -qx 'ENGINE_KIND := system' "$engine/engine.mk" &&
		grep -qx 'ENGINE_VERSION := 6.6-sys' "$engine/engine.mk" &&
		grep -qx "ENGINE_LIBDIR := $dir/sys/ggml/backends0" "$engine/engine.mk" &&
		grep -q -- '-l:libllama.so.7 -l:libggml.so.7 -l:libggml-base.so.7$' "$engine/engine.mk"
	result "one that was tested is linked by its soname" $?
	rm "$dir/pc/llama.pc"
}

# ---- packages.sh

# A table of our own, with a package no system has, beside a copy of the script.
make_table() {
	mkdir -p "$dir/deps"
	cp $packages "$dir/deps/"
	sed -n '/^group/p; /^status/p; /^install/p' base/deps/packages.tsv >"$dir/deps/packages.tsv"
	{
		printf 'toy\tcmd:sh\tberth-toy-here\t=\t=\t=\t=\ttoy-here\ttoy-here\ttoy-here\n'
		printf 'toy\tcmd:berth-no,file:/nonexistent*\tberth-toy\t=\t=\t=\t=\ttoy-rpm\ttoy-arch\ttoy\n'
		printf 'shell\tcmd:berth-no,cmd:sh\tberth-toy\t=\t=\t=\t=\tt\tt\tt\n'
	} >>"$dir/deps/packages.tsv"
}

# apt-get: writes its calls to apt-calls and fails while the file apt-fails is there.
fake_apt() { # $1 the user id
	fresh good
	rm -f "$dir/apt-calls"
	tool apt-get <<-EOF
		#!/bin/sh
		echo "\$*" >>"$dir/apt-calls"
		case "\$*" in *update*) exec rm -f "$dir/apt-fails-once" ;; esac
		[ ! -e "$dir/apt-fails" ] && [ ! -e "$dir/apt-fails-once" ] && exit 0
		echo "E: no berth-toy today"
		exit 100
	EOF
	tool id <<-EOF
		#!/bin/sh
		echo $1
	EOF
}

test_packages() {
	make_table
	toy=$dir/deps/packages.sh
	run "$toy" toy
	[ $rc = 5 ] && said "dnf install toy-rpm)" && ! said toy-here && [ ! -s "$dir/out" ]
	result "fedora: names what is missing" $?

	BERTH_OS_RELEASE=$dir/other run "$toy" toy
	[ $rc = 5 ] && said "berth-toy. Install the like"
	result "a system without names gets Debian's as a hint" $?

	run "$toy" shell
	[ $rc = 0 ] && [ ! -s "$dir/out" ] && [ ! -s "$dir/err" ]
	result "nothing missing: says nothing, on any system" $?

	run "$toy" toy no-such-group
	[ $rc = 2 ] && said '"no-such-group"' && said "toy shell"
	result "an unknown group is a usage error" $?

	export BERTH_OS_RELEASE="$dir/debian"
	fake_apt 1000
	run "$toy" --dry-run toy
	[ $rc = 0 ] && [ ! -e "$dir/apt-calls" ] &&
		[ "$(cat "$dir/out")" = "apt-get install -y --no-install-recommends berth-toy" ]
	result "--dry-run prints the command and runs nothing" $?

	tool sudo <<-EOF
		#!/bin/sh
		exec "\$@"
	EOF
	run "$toy" toy
	[ $rc = 0 ] && grep -q 'no-install-recommends.* install berth-toy$' "$dir/apt-calls"
	result "debian: installs by sudo" $?

	fake_apt 0
	touch "$dir/apt-fails-once"
	run "$toy" toy
	[ $rc = 0 ] && [ "$(tail -n 1 "$dir/apt-calls" | grep -c ' install ')" = 1 ] &&
		grep -q ' update$' "$dir/apt-calls"
	result "old package lists are read again" $?

	touch "$dir/apt-fails"
	run "$toy" toy
	[ $rc = 5 ] && said "recommends berth-toy): no berth-toy today"
	result "a failed installation says why" $?
	rm "$dir/apt-fails"

	fake_apt 1000
	rm -f "$dir/plain/sudo"
	PATH=$dir/fakes:$dir/plain
	run "$toy" toy
	[ $rc = 5 ] && said "as root, run: apt-get install -y --no-install-recommends berth-toy"
	result "without root and sudo: the exact command" $?
	PATH=$real_path
	export BERTH_OS_RELEASE="$dir/fedora"
}

# The table itself: every row has as many columns as the first.
test_table() {
	for f in base/deps/packages.tsv core/engine/pins.tsv; do
		awk -F '\t' '/^#/ { next } !n { n = NF } NF != n || /\t(\t|$)/ { print FILENAME ": " $0; bad = 1 }
			END { exit bad }' $f >"$dir/err"
		result "$f is a table" $?
	done
	awk -F '\t' '!/^#/ && $1 != "system" && $10 !~ /^[0-9a-f]+$/ || length($10) > 128 { bad = 1 }
		END { exit bad }' core/engine/pins.tsv
	result "every package is pinned by a sha512" $?
}

make_packages
make_tools
test_fetch
test_backends
test_failures
test_machine
test_interruption
test_system
test_packages
test_table
exit $failed
