# Debian packages of other suites than this system's, from the mirror that its apt has. Sourced.
# shellcheck shell=sh

# The mirror of Debian itself; nothing when apt has none.
debian_mirror() {
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 !~ /-/ { print $3; exit }'
}

# sources SUITE...: lines of a sources.list
sources() {
	for from; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $from main"
	done
}

# private_apt FOLDER SUITE...: an apt that knows these suites and nothing of this system, in FOLDER; then use
# apt-get -c FOLDER/apt.conf
private_apt() {
	aptdir=$1
	shift
	mkdir -p "$aptdir/lists/partial" "$aptdir/cache/archives/partial" "$aptdir/etc/preferences.d" "$aptdir/etc/trusted"
	: >"$aptdir/status"
	sources "$@" >"$aptdir/etc/sources.list"
	cat >"$aptdir/apt.conf" <<-END
		Dir::Etc::sourcelist "$aptdir/etc/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State::lists "$aptdir/lists";
		Dir::State::status "$aptdir/status";
		Dir::Cache "$aptdir/cache";
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		Acquire::Languages "none";
	END
	apt-get -qq -c "$aptdir/apt.conf" update
}
