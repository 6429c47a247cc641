// SPDX-License-Identifier: MIT
/*
 * direct, and then nobody is left with old bytes.
 *
 * 1. A writes what differs  2. fence; IPI; wait for all
 *
 * Not stale any more after 2, but between 1 and 2 as wrong as direct: whether B may execute bytes that changed under
 * it is for the profile to say. AMD allows it within an aligned quadword, where one store is seen whole or not at all.
 */
#include "protocol.h"

static void poke_direct_sync(struct text_poke_loc *tp)
{
	const u8 *now = (const u8 *)tp->addr;
	size_t first = 0;

	while (first < tp->len && now[first] == tp->text[first])
		first++;
	text_poke(tp->addr + first, tp->text + first, tp->len - first);
	poke_fence();
	sync_core_on_each_cpu();
}

TEXT_POKE_PROTOCOL("direct-sync", "direct, then a sync of all CPUs",
	.poke = poke_direct_sync, .flags = POKE_NO_BREAKPOINT);
