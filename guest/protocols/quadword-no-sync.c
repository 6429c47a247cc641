// SPDX-License-Identifier: MIT
/*
 * quadword without its sync.
 *
 * 1. A stores
 *
 * On AMD B still executes a whole instruction, but nobody knows until when it is the old one: stale after A has said
 * that it is done.
 */
#include "protocol.h"

static void poke_quadword_no_sync(struct text_poke_loc *tp)
{
	text_poke_in_quad(tp->addr, tp->text, tp->len);
}

TEXT_POKE_PROTOCOL("quadword-no-sync", "one aligned 8-byte store, and nothing after it",
	.poke = poke_quadword_no_sync, .flags = POKE_NO_BREAKPOINT | POKE_QUADWORD);
