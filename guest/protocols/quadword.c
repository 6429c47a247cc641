// SPDX-License-Identifier: MIT
/*
 * One aligned store of the quadword around the instruction.
 *
 * 1. A stores  2. fence; IPI; wait for all
 *
 * B executes the whole old instruction or the whole new one if fetching never tears an aligned quadword, which
 * AMD promises and Intel does not; from its sync on, the new one.
 */
#include "protocol.h"

static void poke_quadword(struct text_poke_loc *tp)
{
	text_poke_in_quad(tp->addr, tp->text, tp->len);
	poke_fence();
	sync_core_on_each_cpu();
}

TEXT_POKE_PROTOCOL("quadword", "one aligned 8-byte store, then a sync of all CPUs",
	.poke = poke_quadword, .flags = POKE_NO_BREAKPOINT | POKE_QUADWORD);
