#!/bin/sh
# sh tests/linux/terminal.sh EMU: on a terminal of its own (script), EMU boots to a shell; then SIGTERM ends it. While it ran the terminal was raw; afterwards it is as it
# was before.
set -eu
if [ "${1:-}" != --inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	script -qec "sh '$0' --inside '$dir' '$1'" "$dir/typescript" </dev/null >/dev/null || true
	cat "$dir/result"
	[ "$(cat "$dir/result")" = "raw, and restored" ]
	exit
fi
dir=$2
before=$(stty -g)
(
	while [ "$(stty -g </dev/tty)" = "$before" ]; do sleep 0.2; done
	printf 'raw, ' >"$dir/result"
	kill -TERM "$(cat "$dir/pid")"
) &
sh -c 'echo $$ >"$1/pid"; exec "$2" linux' - "$dir" "$3" || true
wait
[ "$(stty -g)" = "$before" ] && echo "and restored" >>"$dir/result"
