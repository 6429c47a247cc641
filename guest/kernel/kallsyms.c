// SPDX-License-Identifier: MIT
/* Names for addresses. The Makefile links twice: the second time with the table made from the first (kallsyms.S). */
#include "kernel.h"

struct kallsym {
	u32 addr, name; /* name: offset in kallsyms_names */
};

extern const struct kallsym kallsyms_table[], kallsyms_end[];
extern const char kallsyms_names[];

const char *kallsyms_lookup(unsigned long addr, unsigned long *offset)
{
	const struct kallsym *sym, *best = NULL;

	if (!core_kernel_text(addr) && !init_kernel_text(addr))
		return NULL;
	for (sym = kallsyms_table; sym < kallsyms_end && sym->addr <= addr; sym++)
		best = sym;
	if (!best)
		return NULL;
	*offset = addr - best->addr;
	return kallsyms_names + best->name;
}
