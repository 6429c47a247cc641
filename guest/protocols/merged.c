// SPDX-License-Identifier: MIT
/*
 * text-poke-bp with its first two steps in one, as proposed on LKML in January 2025: breakpoint and tail are written
 * together, and one round of IPIs is saved.
 *
 * CPU A                                            CPU B may execute
 * 1. cc and the new tail; fence, sync all          the old instruction, the breakpoint, or ... the old first byte,
 *                                                  fetched before 1, with the new tail, fetched after it
 * 2. the new first byte; fence, sync all           the breakpoint, or the new instruction
 *
 * Where B fetches the instruction in one piece, the old first byte comes with the old tail, and cc hides either.
 */
#include "protocol.h"

static void text_poke_bp_merged(struct text_poke_loc *vec, unsigned int nr)
{
	u8 text[POKE_MAX_OPCODE_SIZE];
	unsigned int i, byte;

	poke_publish(vec, nr);
	for (i = 0; i < nr; i++) {
		text[0] = INT3_INSN_OPCODE;
		for (byte = 1; byte < vec[i].len; byte++)
			text[byte] = vec[i].text[byte];
		text_poke(vec[i].addr, text, vec[i].len);
	}
	text_poke_sync();
	poke_first_bytes(vec, nr);
	text_poke_sync();
	poke_retire();
}

TEXT_POKE_PROTOCOL("merged", "text-poke-bp with breakpoint and tail in one step (LKML, January 2025)",
	.poke_batch = text_poke_bp_merged);
