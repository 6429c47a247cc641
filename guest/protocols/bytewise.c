// SPDX-License-Identifier: MIT
/*
 * Every byte of the instruction by a store of its own, whether it changes or not, as a careless memcpy() does it.
 *
 * 1. A writes the first byte  2. the second, and so on  3. fence; IPI; wait for all
 *
 * After 1, memory itself holds an instruction that nobody wrote: new opcode, old operand. No promise about fetching
 * helps B there; two bytes that both change are wrong on a coherent machine too.
 */
#include "protocol.h"

static void poke_bytewise(struct text_poke_loc *tp)
{
	text_poke(tp->addr, tp->text, tp->len);
	poke_fence();
	sync_core_on_each_cpu();
}

TEXT_POKE_PROTOCOL("bytewise", "every byte by a store of its own, then a sync of all CPUs",
	.poke = poke_bytewise, .flags = POKE_NO_BREAKPOINT);
