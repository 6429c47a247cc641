// SPDX-License-Identifier: MIT
/* What each vector means. */
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "protocol.h"
#include "ptrace.h"
#include "smp.h"
#include "sync_core.h"
#include "text_poke.h"
#include "workload.h"

#define X86_TRAP_NMI 2
#define X86_TRAP_BP 3

static const char *const trap_names[] = {
	"divide error", "debug", "NMI", "int3", "overflow", "bounds", "invalid opcode", "device not available",
	"double fault", "coprocessor segment overrun", "invalid TSS", "segment not present", "stack segment",
	"general protection fault", "page fault", "spurious interrupt", "x87 FPU error", "alignment check",
	"machine check", "SIMD exception", "virtualization exception", "control protection",
};

DEFINE_PER_CPU(unsigned long, int3_count);
DEFINE_PER_CPU(unsigned long, int3_retries);

/*
 * #BP. Either a patch is going on at IP - 1 and poke_int3_handler() resolves it; or the patch was completed after this CPU
 * had fetched the breakpoint, and so nobody knows the address any more. Then:
 *
 * 1. memory no longer holds a breakpoint: execute the instruction again. The IRET on the way back serialises, so
 *    the second try is not a stale one.
 * 2. memory holds a breakpoint: the next patch of the same site has begun since we asked. Who writes a breakpoint
 *    publishes it first, so ask again. Only a protocol that does not wait for us can do this to us more than once.
 *
 * A breakpoint that stays and that nobody knows is a bug. With int3=die so is 1: as in a Linux without kprobes, which knows no
 * other reason for a breakpoint to vanish.
 */
static void exc_int3(struct pt_regs *regs)
{
	unsigned long addr = regs->ip - INT3_INSN_SIZE;
	/* Each further try means that one more patch of this site has begun; and under explore= we know how many there are. */
	unsigned int tries = exploring ? params.patches + 1 : 100;

	bool (*handler)(struct pt_regs *) = params.protocol->int3 ? params.protocol->int3 : poke_int3_handler;

	if (!exploring)
		this_cpu_inc(int3_count);
	while (tries--) {
		if (handler(regs))
			return;
		if (params.int3 == INT3_DIE || user_mode(regs) || !kernel_text_address(addr))
			break;
		if (READ_ONCE(*(const u8 *)addr) != INT3_INSN_OPCODE) {
			if (!exploring)
				this_cpu_inc(int3_retries);
			regs->ip = addr;
			return;
		}
	}
	die("int3", regs);
}

void exc_common(struct pt_regs *regs);
void exc_common(struct pt_regs *regs)
{
	switch (regs->vector) {
	case X86_TRAP_BP:
		exc_int3(regs);
		return;
	case X86_TRAP_NMI:
		if (panicking() || !exc_nmi())
			nmi_dump_this_cpu(regs);
		return;
	default:
		die(regs->vector < ARRAY_SIZE(trap_names) ? trap_names[regs->vector] : "unexpected interrupt", regs);
	}
}

/* The C part of every IPI; entry.S goes on from here into the tail. */
void sysvec_common(struct pt_regs *regs);
void sysvec_common(struct pt_regs *regs)
{
	switch (regs->vector) {
	case SYNC_CORE_VECTOR:
		apic_eoi();
		sysvec_sync_core();
		return;
	case CALL_FUNCTION_VECTOR:
		apic_eoi();
		generic_smp_call_function_interrupt();
		return;
	case RESCHEDULE_VECTOR: /* its purpose is to end a HLT */
		apic_eoi();
		return;
	case ERROR_APIC_VECTOR:
		apic_eoi();
		apic_show_errors();
		return;
	case SPURIOUS_APIC_VECTOR: /* has no bit in the ISR, so no EOI */
		return;
	default:
		die("unexpected interrupt", regs);
	}
}
