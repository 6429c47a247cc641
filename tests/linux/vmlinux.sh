#!/bin/sh
# sh tests/linux/vmlinux.sh EMU...: Debian's kernel as uncompressed ELF, taken out of the bzImage that EMU obtains, boots to a command. Needs lz4 or xz, as the kernel is
# compressed.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$@" --run true --export "$dir" >/dev/null
number() { od -An -v -t "$1" -j "$2" -N "$3" "$dir/vmlinuz" | tr -d ' '; }
# The boot protocol: setup sectors at 0x1F1, payload_offset at 0x248 from the end of the setup, payload_length at 0x24C.
sectors=$(number u1 $((0x1F1)) 1)
start=$(((sectors + 1) * 512 + $(number u4 $((0x248)) 4)))
length=$(number u4 $((0x24C)) 4)
tail -c +$((start + 1)) "$dir/vmlinuz" | head -c "$length" >"$dir/payload"
case $(od -An -v -t x1 -N 4 "$dir/payload" | tr -d ' ') in
# Behind an LZ4 stream stand four bytes, its length unpacked.
02214c18) head -c $((length - 4)) "$dir/payload" | lz4 -dc >"$dir/vmlinux" ;;
fd377a58) xz -dc --single-stream <"$dir/payload" >"$dir/vmlinux" ;;
*) echo "unknown compression" && exit 1 ;;
esac
"$@" --kernel "$dir/vmlinux" --run 'nproc; uname -s' >"$dir/said"
cat "$dir/said"
printf '2\nLinux\n' | cmp - "$dir/said"
