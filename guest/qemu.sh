#!/bin/sh
# SPDX-License-Identifier: MIT
# qemu.sh IMAGE CPUS "command line" [more QEMU options]: boots an image in QEMU, serial on stdout.
# Exit status as QEMU's isa-debug-exit makes it: 33 passed, 35 failed or refused, 37 panicked.
image=$1 cpus=$2 append=$3
shift 3
exec qemu-system-x86_64 -accel "${ACCEL:-tcg}" -smp "$cpus" -kernel "$image" -display none -serial stdio -monitor none \
	-no-reboot -device isa-debug-exit,iobase=0xf4,iosize=0x04 -append "$append" "$@" < /dev/null
