// SPDX-License-Identifier: MIT
/*
 * The mail's breakpoint + IPI.
 *
 * CPU A                                            CPU B sees
 * 1. cc over the first byte                        eb e5 -> cc e5: the breakpoint appears
 * 2. fence; IPI; wait for all; fence               B serialises: no eb e5 in its pipeline any more
 * 3. the tail                                      cc e5 -> cc f0: the operand of a breakpoint is not used
 * 4. the new first byte                            cc f0 -> eb f0: the breakpoint disappears
 *
 * "The transition we guarantee that CPU B will never see without having a mfence executed between the old and the new
 * version is eb e5 -> eb f0." Harmless races: B may still hold the breakpoint after 4, and traps when it is long
 * gone: exc_int3() finds memory without it and executes the instruction again. One IPI is enough as long as 3 and 4
 * reach B's front end in order. Where an instruction spans two units of fetching, B may fetch the tail's unit
 * before 3 and the first byte's after 4, and text-poke-bp is what is needed.
 */
#include "protocol.h"

static void poke_int3_ipi(struct text_poke_loc *tp)
{
	poke_publish(tp, 1);
	poke_breakpoints(tp, 1);
	poke_fence();
	sync_core_on_each_cpu();
	poke_fence();
	poke_tails(tp, 1);
	poke_first_bytes(tp, 1);
	poke_retire();
}

TEXT_POKE_PROTOCOL("int3-ipi", "the mail's: breakpoint, one sync of all CPUs, tail, first byte", .poke = poke_int3_ipi);
