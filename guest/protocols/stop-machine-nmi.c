// SPDX-License-Identifier: MIT
/*
 * stop-machine for sites that NMI handlers execute, as ftrace did it from 2008 on (Linux 17666f02b118): no flag keeps an NMI
 * out, so an NMI that comes while A writes writes the same bytes itself first. Bytes do not go back, so after
 * that the instruction is whole for this CPU whatever A has got done.
 *
 * CPU A                                            CPU B, at an NMI
 * 1. stops all others                              a. in_nmi++
 * 2. `pending` = what to write                     b. if there is something pending: writes it; serialises
 * 3. a locked operation; waits until nobody        c. executes the site
 *    is in an NMI                                  d. in_nmi--
 * 4. writes
 * 5. `pending` = nothing; again waits until
 *    nobody is in an NMI: tp is on A's stack
 * 6. all serialise and go on
 *
 * a is locked too, so either A sees B in 3, or B sees A's `pending` in b. B serialises in b in any case: an NMI between 5 and 6
 * finds nothing pending, but what B has fetched may be from the midst of 4.
 */
#include "protocol.h"
#include "stop_machine.h"

static _Atomic(const struct text_poke_loc *) pending;
static _Atomic u32 in_nmi;

static void wait_for_nmis(void)
{
	smp_mb();
	wait_until(atomic_load(&in_nmi) == 0, "an NMI does not end", smp_processor_id());
}

static int poke_stopped_nmi(void *data)
{
	const struct text_poke_loc *tp = data;

	atomic_store_explicit(&pending, tp, memory_order_release);
	wait_for_nmis();
	text_poke(tp->addr, tp->text, tp->len);
	atomic_store_explicit(&pending, NULL, memory_order_release);
	wait_for_nmis();
	return 0;
}

static void poke_stop_machine_nmi(struct text_poke_loc *tp)
{
	stop_machine(poke_stopped_nmi, tp, true);
}

static void ftrace_nmi_enter(void)
{
	const struct text_poke_loc *tp;

	atomic_fetch_add(&in_nmi, 1);
	tp = atomic_load(&pending);
	if (tp)
		text_poke(tp->addr, tp->text, tp->len);
	sync_core();
}

static void ftrace_nmi_exit(void)
{
	atomic_fetch_sub(&in_nmi, 1);
}

TEXT_POKE_PROTOCOL("stop-machine-nmi", "stop-machine, and an NMI that comes meanwhile writes the same bytes itself",
	.poke = poke_stop_machine_nmi, .nmi_enter = ftrace_nmi_enter, .nmi_exit = ftrace_nmi_exit,
	.flags = POKE_NO_BREAKPOINT);
