#!/bin/sh
# Puts libunicorn.so.2 into .cache/unicorn without installing anything: for a machine whose system lacks it.
# Needs apt-get and dpkg-deb; root only where the package lists are empty. The last line printed says what went wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
cache=$PWD/.cache/unicorn

fail()
{
	echo "$1"
	exit 1
}

command -v apt-get >/dev/null || fail "no apt-get here: not a Debian system"
command -v dpkg-deb >/dev/null || fail "no dpkg-deb here: not a Debian system"
mkdir -p "$cache" || fail "cannot create $cache"
cd "$cache" || exit 1

if ! apt-get -qq download libunicorn2 2>apt.log; then
	[ "$(id -u)" = 0 ] || fail "apt-get download libunicorn2: $(tail -n 1 apt.log); the package lists may be empty, which only root can mend by apt-get update"
	apt-get -qq update 2>apt.log || fail "apt-get update: $(tail -n 1 apt.log)"
	apt-get -qq download libunicorn2 2>apt.log || fail "apt-get download libunicorn2: $(tail -n 1 apt.log)"
fi
for package in libunicorn2_*.deb; do
	dpkg-deb -x "$package" . || fail "dpkg-deb cannot unpack $package"
	rm "$package"
done
echo "libunicorn.so.2 is in $cache"
