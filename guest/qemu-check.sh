#!/bin/sh
# SPDX-License-Identifier: MIT
# qemu-check.sh IMAGES [short]: boots both images in QEMU with every protocol, site and choice; prints the result lines.
# Exits with 0 if every run ended as expected. About four minutes; with "short" every protocol at two sites, half a minute.
#
# The runs that judge use thread=single: one CPU's translated block runs to its end before another CPU stores, so QEMU
# is coherent and every protocol "works". By default (thread=multi) QEMU 7.2 is not quite: a block that one CPU
# translates while another stores to it can stay behind, old, until the next store. Protocols that end in an IPI do not
# notice; direct and int3 sometimes do, and so their multi-threaded runs are printed but not judged.
images=$1
failed=0 count=0

# run IMAGE EXPECTED-STATUS ACCELERATOR "command line" [QEMU options]
run() {
	image=$1 expected=$2 ACCEL=$3 append=$4
	shift 4
	export ACCEL
	output=$(timeout 60 ./qemu.sh "$images/$image.elf" "${CPUS:-4}" "$append" "$@" 2>&1)
	status=$?
	count=$((count + 1))
	line=$(printf '%s\n' "$output" | grep -a '^result:' | tr -d '\r' || echo "no result line")
	verdict=ok
	if [ "$expected" != any ] && [ "$status" != "$expected" ]; then
		verdict="UNEXPECTED status $status for \"$append\" $*"
		failed=$((failed + 1))
		printf '%s\n' "$output"
	fi
	printf '%s %-10s %s: %s\n' "$image" "${ACCEL#tcg,}" "$verdict" "${line:-no result line}"
}

single=tcg,thread=single
multi=tcg,thread=multi
PASS=33 REFUSED=35 PANIC=37
protocols="direct int3 int3-ipi text-poke-bp stop-machine up quadword"
# All there are, but the one that deadlocks.
every=$(cd protocols && ls | sed -n 's/\.c$//p' | grep -v '^int3-spin$')

# What is not right on a coherent machine either, if seldom; and what is refused.
expected_at() {
	case $1:$2 in
	quadword*:quad | quadword*:line | quadword*:page | quadword*:batch | quadword*:handler-line | quadword*:jump5-*) echo $REFUSED ;;
	direct*:short | direct*:handler | direct*:init) echo $PASS ;;
	direct*:* | bytewise:*) echo any ;; # several bytes, one by one
	stop-machine:nmi | stop-machine-no-sync:nmi | up:nmi) echo any ;; # a half-written instruction
	*) echo $PASS ;;
	esac
}

every_protocol() {
	for protocol in $every; do
		for site in "$@"; do
			run $image $(expected_at $protocol $site) $single "protocol=$protocol site=$site rounds=16"
			run $image $(expected_at $protocol $site) $single "protocol=$protocol site=$site explore=2 patches=2"
		done
	done
}

if [ "$2" = short ]; then
	for image in emu64 emu32; do
		every_protocol jmp5 handler-line
	done
	echo "$count runs, $failed unexpected"
	[ $failed = 0 ]
	exit
fi

for image in emu64 emu32; do
	for protocol in $protocols; do
		run $image $PASS $single "protocol=$protocol"
	done
	for protocol in int3-ipi text-poke-bp stop-machine up; do
		run $image $PASS $multi "protocol=$protocol"
	done
	for protocol in direct int3 quadword; do
		run $image any $multi "protocol=$protocol"
	done
	for site in short-nop jmp5 quad page likely unlikely batch init jump5; do
		for protocol in $protocols; do
			case $protocol:$site in
			quadword:likely | quadword:unlikely) continue ;; # depends on where the compiler put it
			esac
			run $image $(expected_at $protocol $site) $single "protocol=$protocol site=$site rounds=16"
		done
	done
	every_protocol short line handler handler-line nmi jump5-split
	run $image $PASS $single "protocol=text-poke-bp int3=die site=granule"
	for sync in none lfence mfence lfence-cpuid cpuid iret mov-cr2; do
		run $image $PASS $single "sync=$sync protocol=text-poke-bp site=line rounds=16"
	done
	for fence in none sfence mfence mfence-lfence; do
		run $image $PASS $single "fence=$fence rounds=16"
	done
	for poke in alias alias-mm wp; do
		for protocol in $protocols; do
			case $protocol in
			direct) site=short ;;
			quadword) site=jmp5 ;;
			*) site=page ;;
			esac
			run $image $PASS $single "poke=$poke protocol=$protocol site=$site rounds=16"
		done
	done
	for protocol in int3-ipi text-poke-bp quadword; do
		run $image $PASS $single "ack=before-sync protocol=$protocol rounds=16"
	done
	for cpus in 1 2 3 4; do
		run $image $PASS $single "cpus=$cpus rounds=16"
	done

	CPUS=64
	run $image $PASS $single "rounds=2"
	CPUS=4

	# What has to be refused, with one line; and what has to die.
	run $image $REFUSED $single "ipi=x2apic"
	run $image $REFUSED $single "sync=serialize"
	run $image $REFUSED $single "protocol=magic"
	run $image $REFUSED $single "site=magic"
	run $image $REFUSED $single "rounds=0"
	run $image $REFUSED $single "colour=blue"
	run $image $REFUSED $single "rounds=1 nonsense"
	run $image $PANIC $single "site=init-unchecked rounds=2"
done

# Without SSE2: cpuid in place of mfence. And without long mode: the 64-bit image says so.
for sync in mfence lfence lfence-cpuid; do
	run emu32 $PASS $single "sync=$sync rounds=16" -cpu pentium3
done
for fence in sfence mfence mfence-lfence; do
	run emu32 $PASS $single "fence=$fence rounds=16" -cpu pentium3
done
run emu32 $PASS $single "protocol=quadword site=jmp5" -cpu pentium3
run emu64 $PANIC $single "" -cpu pentium3

echo "$count runs, $failed unexpected"
[ $failed = 0 ]
