#!/bin/sh
# sh tools/emu/obtain-package.sh PACKAGE: downloads a Debian package and unpacks it into .cache/packages/PACKAGE, without installing it.
# Needs apt-get and dpkg-deb, and no root: where the system's package lists know nothing of it, lists of its own are fetched below .cache. For a package
# that only depends on another (linux-image-cloud-amd64), give the name of that one; "-" after the name makes it look for it.
# Prints the directory. When it fails, the last line says what went wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
package=$1
follow=${2:-}
cache=$PWD/.cache/packages

fail()
{
	echo "$1"
	exit 1
}

command -v apt-get >/dev/null || fail "no apt-get here: not a Debian system"
command -v dpkg-deb >/dev/null || fail "no dpkg-deb here: not a Debian system"
mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial" || fail "cannot create $cache"
# Two at a time would unpack into each other's directory.
if command -v flock >/dev/null; then
	exec 9>"$cache/lock"
	flock 9
fi
log=$cache/apt/log
own="-o Dir::State::lists=$cache/apt/lists -o Dir::Cache=$cache/apt -o Dir::Cache::archives=$cache/apt/archives"
# As root apt would download as the user _apt, who may not write here.
common="-qq -o APT::Sandbox::User=$(id -un)"

if [ -f "$cache/$package/.complete" ]; then
	echo "$cache/$package"
	exit 0
fi

download()
{
	name=$package
	if [ "$follow" = - ]; then
		name=$(apt-cache $1 show --no-all-versions "$package" 2>>"$log" | sed -n 's/^Depends: \([^ ,]*\).*/\1/p' | head -n 1)
		[ -n "$name" ] || return 1
	fi
	(cd "$cache/$package.part" && apt-get $common $1 download "$name" >>"$log" 2>&1)
}

rm -rf "$cache/$package.part" "${cache:?}/$package"
mkdir -p "$cache/$package.part" || fail "cannot create $cache/$package.part"
: >"$log"
if ! download ""; then
	apt-get $common $own update >>"$log" 2>&1 || fail "apt-get update: $(tail -n 1 "$log")"
	download "$own" || fail "apt-get download $package: $(tail -n 1 "$log")"
fi
for file in "$cache/$package.part"/*.deb; do
	dpkg-deb -x "$file" "$cache/$package.part" || fail "dpkg-deb cannot unpack $file"
	rm "$file"
done
touch "$cache/$package.part/.complete"
mv "$cache/$package.part" "$cache/$package" || fail "cannot create $cache/$package"
echo "$cache/$package"
