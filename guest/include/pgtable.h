/* SPDX-License-Identifier: MIT */
#ifndef PGTABLE_H
#define PGTABLE_H

#include "types.h"

#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))

extern bool cpu_has_nx;
extern unsigned long swapper_pgd, poking_pgd; /* values for CR3 */

void paging_init(void);        /* boot CPU: build the tables and go over to them */
void free_initmem(void);       /* unmap init text and data, on every CPU */

/* Maps kernel text at POKING_ADDR in poking_mm, `pages` (1 or 2) from the page of `addr` on; and undoes it. */
unsigned long map_poking_pages(unsigned long addr, unsigned int pages);
void unmap_poking_pages(void);

/* The standing alias of an address in kernel text. */
unsigned long text_alias(unsigned long addr);

#endif
