// SPDX-License-Identifier: MIT
/*
 * stop_machine(), the text_poke_smp() of 2010.
 *
 * 1. every B spins in multi_cpu_stop() with interrupts off  2. A writes  3. every CPU runs sync_core() and goes on
 *
 * No B executes the site while it changes, so the order of the bytes does not matter. Unless an NMI does: see
 * stop-machine-nmi.
 */
#include "protocol.h"
#include "stop_machine.h"

static int poke_stopped(void *data)
{
	const struct text_poke_loc *tp = data;

	text_poke(tp->addr, tp->text, tp->len);
	return 0;
}

static void poke_stop_machine(struct text_poke_loc *tp)
{
	stop_machine(poke_stopped, tp, true);
}

TEXT_POKE_PROTOCOL("stop-machine", "all other CPUs spin with interrupts off meanwhile, and serialise",
	.poke = poke_stop_machine, .flags = POKE_NO_BREAKPOINT);
