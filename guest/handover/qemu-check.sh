#!/bin/sh
# SPDX-License-Identifier: MIT
# qemu-check.sh IMAGES: boots the handover images in QEMU, where QEMU has their protocol, and compares what they print with expected/.
images=$1
failed=0
module=$(mktemp)
printf hello > "$module"

# check NAME [QEMU options]
check() {
	name=$1
	shift
	output=$(timeout 60 qemu-system-x86_64 -accel tcg -smp 2 -m 64 -display none -serial stdio -monitor none -no-reboot \
		-device isa-debug-exit,iobase=0xf4,iosize=0x04 "$@" < /dev/null)
	status=$?
	if [ "$status" = 33 ] && [ "$output" = "$(cat "expected/$name.txt")" ]; then
		echo "$name ok"
	else
		printf '%s UNEXPECTED, status %s:\n%s\n' "$name" "$status" "$output"
		failed=$((failed + 1))
	fi
}

check multiboot1 -kernel "$images/handover-multiboot.elf" -initrd "$module" -append "one two"
check pvh -kernel "$images/handover-pvh.elf" -initrd "$module" -append "one two"
# SeaBIOS runs the real-mode part, which enters the 32-bit code.
check linux32 -kernel "$images/handover-bzimage" -initrd "$module" -append "one two"
check rom -bios "$images/handover-rom.bin"
rm -f "$module"
[ $failed = 0 ]
