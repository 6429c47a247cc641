// SPDX-License-Identifier: MIT
/*
 * stop-machine without step 3's sync_core(), as text_poke_smp() was at first (Linux 0e00f7aed6af).
 *
 * 1. every B spins with interrupts off  2. A writes  3. all go on
 *
 * B serialises nevertheless, by the IRET that ends the IPI: if it does not execute the site before that, as
 * site=handler does. A does not serialise at all. (In Linux stop_machine() had moved to threads, and no IRET came.)
 */
#include "protocol.h"
#include "stop_machine.h"

static int poke_stopped_no_sync(void *data)
{
	const struct text_poke_loc *tp = data;

	text_poke(tp->addr, tp->text, tp->len);
	return 0;
}

static void poke_stop_machine_no_sync(struct text_poke_loc *tp)
{
	stop_machine(poke_stopped_no_sync, tp, false);
}

TEXT_POKE_PROTOCOL("stop-machine-no-sync", "stop-machine, and nobody serialises at its end",
	.poke = poke_stop_machine_no_sync, .flags = POKE_NO_BREAKPOINT);
