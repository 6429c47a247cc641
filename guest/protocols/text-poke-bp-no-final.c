// SPDX-License-Identifier: MIT
/*
 * text-poke-bp without its last sync, as an error path of ftrace once had it (Linux 12729f14d835).
 *
 * 1. cc; sync  2. the tail; sync  3. the new first byte  4. retire
 *
 * B may have fetched the breakpoint before 3 and execute it after 4: it looks for a record that A has removed. With
 * int3=retry it finds memory without a breakpoint and tries again; with int3=die that is the end.
 */
#include "protocol.h"

static void text_poke_bp_no_final(struct text_poke_loc *vec, unsigned int nr)
{
	poke_publish(vec, nr);
	poke_breakpoints(vec, nr);
	text_poke_sync();
	poke_tails(vec, nr);
	text_poke_sync();
	poke_first_bytes(vec, nr);
	poke_retire();
}

TEXT_POKE_PROTOCOL("text-poke-bp-no-final", "text-poke-bp without its last sync: with int3=die a lost breakpoint",
	.poke_batch = text_poke_bp_no_final);
