// SPDX-License-Identifier: MIT
/*
 * int3-ipi, and a second sync before A says that it is done.
 *
 * 1. cc  2. fence; IPI; wait for all; fence  3. the tail  4. the new first byte  5. fence; IPI; wait for all
 *
 * What 5 mends: across two units of fetching B may have fetched the old tail before 3 and the new first byte after 4. Where
 * that makes the old instruction, a jump that stays a jump, B is stale until it serialises: at 5. What it does not: where
 * the opcode changes, new opcode and old tail are an instruction that nobody wrote, and B may be there before 5.
 */
#include "protocol.h"

static void poke_int3_ipi_final(struct text_poke_loc *tp)
{
	poke_publish(tp, 1);
	poke_breakpoints(tp, 1);
	poke_fence();
	sync_core_on_each_cpu();
	poke_fence();
	poke_tails(tp, 1);
	poke_first_bytes(tp, 1);
	poke_fence();
	sync_core_on_each_cpu();
	poke_retire();
}

TEXT_POKE_PROTOCOL("int3-ipi-final", "int3-ipi with a second sync of all CPUs at its end", .poke = poke_int3_ipi_final);
