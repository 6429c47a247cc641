#!/bin/sh
# sh tests/linux/disks.sh EMU...: Linux's own drivers of virtio-blk and of the PIIX's IDE channel write to a disk each and read it back from there. With ",write" that
# is in the file afterwards; without, the file has not changed.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for name in kept written; do
	dd if=/dev/zero of="$dir/$name" bs=1024 count=1024 2>/dev/null
done
command='
for device in vda sda vdb; do
	echo "written to $device" | dd of=/dev/$device bs=512 seek=7 conv=sync 2>/dev/null
	sync
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/$device bs=512 skip=7 count=1 2>/dev/null | head -n 1
done
grep -c "IO-APIC *11-fasteoi *virtio" /proc/interrupts
grep -c "IO-APIC *14-edge *ata_piix" /proc/interrupts
'
"$@" --disk "$dir/kept" --disk "$dir/kept,ide" --disk "$dir/written,write" --run "$command" >"$dir/said"
cat "$dir/said"
printf 'written to %s\n' vda sda vdb >"$dir/expected"
printf '1\n1\n' >>"$dir/expected"
cmp "$dir/expected" "$dir/said"
cmp "$dir/kept" /dev/zero -n 1048576
dd if="$dir/written" bs=512 skip=7 count=1 2>/dev/null | head -n 1 | grep -q "^written to vdb"
