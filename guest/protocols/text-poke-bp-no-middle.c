// SPDX-License-Identifier: MIT
/*
 * text-poke-bp without the sync between tail and first byte. "Not needed on Intel", says the commit that brought it to
 * Linux (fd4363fff3d9), and keeps it, since "there's not only Intel HW".
 *
 * 1. cc; sync  2. the tail  3. the new first byte; sync  4. retire
 *
 * It relies on 2 and 3 reaching B's front end in order: see int3-ipi, which is this without the last sync.
 */
#include "protocol.h"

static void text_poke_bp_no_middle(struct text_poke_loc *vec, unsigned int nr)
{
	poke_publish(vec, nr);
	poke_breakpoints(vec, nr);
	text_poke_sync();
	poke_tails(vec, nr);
	poke_first_bytes(vec, nr);
	text_poke_sync();
	poke_retire();
}

TEXT_POKE_PROTOCOL("text-poke-bp-no-middle", "text-poke-bp without the sync between tail and first byte",
	.poke_batch = text_poke_bp_no_middle);
