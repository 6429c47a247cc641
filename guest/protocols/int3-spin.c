// SPDX-License-Identifier: MIT
/*
 * int3-ipi-final, but B waits in its #BP handler for the patch to be over, and then executes the instruction again.
 *
 * CPU A                                            CPU B
 * 1. `patching` = the address; cc                  a. executes the breakpoint: interrupts are off from here on
 * 2. IPI; waits until B has answered               b. waits until `patching` is another
 * 3. tail, first byte; sync; `patching` = 0        c. back to the instruction
 *
 * If a comes before B has answered 2, each waits for the other. That is why poke_int3_handler() emulates.
 */
#include "cpu.h"
#include "protocol.h"
#include "ptrace.h"

static unsigned long patching;

static void poke_int3_spin(struct text_poke_loc *tp)
{
	WRITE_ONCE(patching, tp->addr);
	poke_breakpoints(tp, 1);
	poke_fence();
	sync_core_on_each_cpu();
	poke_fence();
	poke_tails(tp, 1);
	poke_first_bytes(tp, 1);
	poke_fence();
	sync_core_on_each_cpu();
	WRITE_ONCE(patching, 0);
}

static bool spin_int3_handler(struct pt_regs *regs)
{
	unsigned long addr = regs->ip - INT3_INSN_SIZE;

	if (READ_ONCE(patching) != addr)
		return false;
	wait_until(READ_ONCE(patching) != addr, "the #BP handler waits for the patch", smp_processor_id());
	regs->ip = addr;
	return true;
}

TEXT_POKE_PROTOCOL("int3-spin", "int3-ipi-final with a #BP handler that waits: deadlock",
	.poke = poke_int3_spin, .int3 = spin_int3_handler);
