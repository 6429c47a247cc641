// SPDX-License-Identifier: MIT
/*
 * Linux's text_poke_bp_batch() of 6.1.
 *
 * CPU A                                            CPU B, meanwhile, executes
 * 0. publish the vector
 * 1. cc over every first byte                      the old instruction, or the breakpoint
 *    fence, sync all                               from its sync on: the breakpoint
 * 2. write every tail                              the breakpoint: B does not use the tail of what begins with cc
 *    fence, sync all                               from its sync on it has fetched no old tail
 * 3. write every new first byte                    the breakpoint, or the new instruction, never the old one
 *    fence, sync all                               from its sync on: the new instruction
 * 4. retire the vector
 *
 * Harmless races: B traps before 3 and looks only after 3: it emulates the new instruction, which is what memory holds.
 * B traps before the last sync: it has interrupts off until it has looked, so A does not reach 4. B is inside the handler
 * at 4, for a breakpoint that is not ours: its reference makes A wait, so the vector is not filled anew under it.
 */
#include "protocol.h"

static void text_poke_bp_batch(struct text_poke_loc *vec, unsigned int nr)
{
	BUG_ON(!mutex_is_locked(&text_mutex));
	poke_publish(vec, nr);
	poke_breakpoints(vec, nr);
	text_poke_sync();
	poke_tails(vec, nr);
	text_poke_sync();
	poke_first_bytes(vec, nr);
	text_poke_sync();
	poke_retire();
}

TEXT_POKE_PROTOCOL("text-poke-bp", "Linux 6.1's: a sync after each of three steps, batches, a reference-counted descriptor",
	.poke_batch = text_poke_bp_batch);
