// SPDX-License-Identifier: MIT
/*
 * The mail's "just using the breakpoint, without IPI".
 *
 * 1. cc over the first byte  2. the tail  3. the new first byte
 *
 * B may have fetched the old instruction before 1 and reach it after 3: it never saw the breakpoint.
 */
#include "protocol.h"

static void poke_int3(struct text_poke_loc *tp)
{
	poke_publish(tp, 1);
	poke_breakpoints(tp, 1);
	poke_tails(tp, 1);
	poke_first_bytes(tp, 1);
	poke_retire();
}

TEXT_POKE_PROTOCOL("int3", "breakpoint without IPI", .poke = poke_int3);
