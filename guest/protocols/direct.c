// SPDX-License-Identifier: MIT
/*
 * The mail's "buggy" scheme.
 *
 * 1. A writes what differs: of a jump that stays a jump, the operand
 *
 * B may have fetched the old bytes before the write and reach the instruction after it; and of several bytes it may see
 * some old and some new.
 */
#include "protocol.h"

static void poke_direct(struct text_poke_loc *tp)
{
	const u8 *now = (const u8 *)tp->addr;
	size_t first = 0;

	while (first < tp->len && now[first] == tp->text[first])
		first++;
	text_poke(tp->addr + first, tp->text + first, tp->len - first);
}

TEXT_POKE_PROTOCOL("direct", "plain stores over what differs: the mail's buggy scheme",
	.poke = poke_direct, .flags = POKE_NO_BREAKPOINT);
