// SPDX-License-Identifier: MIT
/*
 * One CPU executes, and it is the one that patches.
 *
 * 1. interrupts off: a handler could execute the half-written instruction  2. the write  3. sync_core()
 *
 * A CPU's own stores to code want 3 (SDM Vol. 3A, "Handling Self- and Cross-Modifying Code"), the more so if they went
 * through an alias.
 */
#include "cpu.h"
#include "protocol.h"

static void poke_up(struct text_poke_loc *tp)
{
	unsigned long flags = local_irq_save();

	text_poke(tp->addr, tp->text, tp->len);
	sync_core();
	local_irq_restore(flags);
}

TEXT_POKE_PROTOCOL("up", "the patching CPU is the only one that executes",
	.poke = poke_up, .flags = POKE_NO_BREAKPOINT | POKE_ALONE);
