// SPDX-License-Identifier: MIT
/* From "this instruction shall be that one" to the protocol that does it: protocols/ has them. */
#include "cpu.h"
#include "kernel.h"
#include "protocol.h"
#include "text_poke.h"

/* As long as this CPU is alone, whatever the command line says. */
void text_poke_early(unsigned long addr, const void *opcode, size_t len)
{
	unsigned long flags = local_irq_save();

	text_poke(addr, opcode, len);
	write_cr2(0); /* serialises, on every CPU there is */
	local_irq_restore(flags);
}

void text_poke_by_protocol(struct text_poke_loc *vec, unsigned int nr)
{
	const struct text_poke_protocol *protocol = params.protocol;

	if (protocol->poke_batch) {
		protocol->poke_batch(vec, nr);
		return;
	}
	for (; nr > 0; vec++, nr--)
		protocol->poke(vec);
}
