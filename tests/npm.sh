#!/bin/sh
# SPDX-License-Identifier: MIT
# The npm packages that tests use as clients, in $1/node_modules: npm.sh DIR
#
# Each is one pinned package without scripts, kept in the cache; offline when it is there. Exit: 0 there
# they are, 77 they cannot be had here, and why.
set -eu
dir=$1
cache=${BERTH_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}/npm
mkdir -p "$cache" "$dir/node_modules"
# package, version, sha512 as the registry gives it (base64)
while read -r package version sha512; do
	[ "$(cat "$dir/node_modules/$package/.pinned" 2>/dev/null)" != "$sha512" ] || continue
	file=$cache/$package-$version.tgz
	if [ ! -e "$file" ]; then
		tmp=$(mktemp -d "$cache/tmp.XXXXXX")
		(cd "$tmp" && npm pack --ignore-scripts --loglevel=error --cache="$tmp/npm" --update-notifier=false \
			--fetch-retries=2 "$package@$version" >/dev/null 2>err </dev/null) || {
			echo "npm cannot fetch $package $version: $(head -n 1 "$tmp/err")"
			rm -rf "$tmp"
			exit 77
		}
		mv "$tmp/$package-$version.tgz" "$file"
		rm -rf "$tmp"
	fi
	[ "$(python3 -c "import base64,hashlib,sys; print(base64.b64encode(hashlib.sha512(open(sys.argv[1],\"rb\").read()).digest()).decode())" "$file")" = "$sha512" ] || {
		rm -f "$file"
		echo "$package $version is not the pinned one"
		exit 1
	}
	rm -rf "$dir/node_modules/$package"
	mkdir -p "$dir/node_modules/$package"
	tar -xzf "$file" -C "$dir/node_modules/$package" --strip-components=1 --no-same-owner
	echo "$sha512" >"$dir/node_modules/$package/.pinned"
done <<'PINS'
openai 5.23.2 MQBzmTulj+MM5O8SKEk/gL8a7s5mktS9zUtAkU257WjvobGc9nKcBuVwjyEEcb9SI8a8Y2G/mzn3vm9n1Jlleg==
ollama 0.6.4 KzM6b5Sq0TgipeMTdImuELr/V4eNqrTf37PRzUTHCPPieFmboYw6qPn+pX7+lg0nSP1jsKwy4AFkiQFXhqHeZA==
whatwg-fetch 3.6.20 EqhiFU6daOA8kpjOWTL0olhVOF3i7OrFzSYiGsEMB8GcXS+RrzauAERX65xMeNWVqxA6HXH2m69Z9LaKKdisfg==
PINS
