// SPDX-License-Identifier: MIT
/* How a byte gets into read-only text: poke=. */
#include "text_poke.h"
#include "apic.h"
#include "cpu.h"
#include "kernel.h"
#include "params.h"
#include "pgtable.h"
#include "smp.h"

DEFINE_MUTEX(text_mutex);

/* What to store, once the destination is writable at `to`. */
typedef void (*poke_store_t)(unsigned long to, const void *from, size_t len);

static void store_bytes(unsigned long to, const void *from, size_t len)
{
	volatile u8 *byte = (volatile u8 *)to;
	size_t i;

	for (i = 0; i < len; i++)
		byte[i] = ((const u8 *)from)[i];
}

static void store_quad(unsigned long to, const void *from, size_t len)
{
	BUG_ON(len != sizeof(u64) || to % sizeof(u64));
#ifdef __x86_64__
	*(volatile u64 *)to = *(const u64 *)from;
#else
	/* The one way to store eight bytes at once from general registers. It is locked, so it also fences. */
	const u32 *half = from;
	u32 low = *(volatile u32 *)to, high = *(volatile u32 *)(to + 4);
	bool done;

	do
		__asm__ volatile("lock cmpxchg8b %1"
				 : "=@ccz"(done), "+m"(*(volatile u64 *)to), "+a"(low), "+d"(high)
				 : "b"(half[0]), "c"(half[1]) : "memory");
	while (!done);
#endif
}

/* poke=alias: the text's second, writable mapping is always there. Nothing here serialises or waits. */
static void poke_alias(poke_store_t store, unsigned long addr, const void *src, size_t len)
{
	store(text_alias(addr), src, len);
}

/*
 * poke=alias-mm: as Linux has done since 2019. The writable mapping exists for this CPU alone, and for this moment:
 *
 * 1. interrupts off: a handler must not run in the wrong address space
 * 2. map the page, and the next one if the bytes go on there
 * 3. CR3 <- poking_mm; write; then unmap, and CR3 back
 *
 * The entry is not global and no other CPU ever loads poking_mm, so the last CR3 write has also flushed the only TLB
 * that could have held it. Each MOV to CR3 is serialising, and so drains the stores before it.
 */
static void poke_alias_mm(poke_store_t store, unsigned long addr, const void *src, size_t len)
{
	bool cross_page = (addr & ~PAGE_MASK) + len > PAGE_SIZE;
	unsigned long flags = local_irq_save();
	unsigned long to = map_poking_pages(addr, cross_page ? 2 : 1);

	write_cr3(poking_pgd);
	store(to, src, len);
	unmap_poking_pages();
	write_cr3(swapper_pgd);
	local_irq_restore(flags);

	if (memcmp((const void *)addr, src, len))
		panic("text_poke: %lx does not hold what was written", addr);
}

/* poke=wp: for a moment this CPU may write read-only pages. MOV to CR0 is serialising too. */
static void poke_wp(poke_store_t store, unsigned long addr, const void *src, size_t len)
{
	unsigned long flags = local_irq_save();
	unsigned long cr0 = read_cr0();

	write_cr0(cr0 & ~X86_CR0_WP);
	store(addr, src, len);
	write_cr0(cr0);
	local_irq_restore(flags);
}

/* site=nmi: the watchdog strikes whenever this CPU is about to change text. */
DEFINE_PER_CPU(bool, poke_sends_nmi);

static void __text_poke(poke_store_t store, unsigned long addr, const void *src, size_t len)
{
	unsigned int cpu;

	if (this_cpu_read(poke_sends_nmi))
		for_each_other_cpu(cpu)
			apic_send_NMI(cpu);
	switch (params.poke) {
	case POKE_ALIAS:
		poke_alias(store, addr, src, len);
		break;
	case POKE_ALIAS_MM:
		poke_alias_mm(store, addr, src, len);
		break;
	case POKE_WP:
		poke_wp(store, addr, src, len);
		break;
	}
}

void text_poke(unsigned long addr, const void *opcode, size_t len)
{
	BUG_ON(!mutex_is_locked(&text_mutex));
	__text_poke(store_bytes, addr, opcode, len);
}

void text_poke_in_quad(unsigned long addr, const void *opcode, size_t len)
{
	unsigned long quad = addr & ~7ul;
	union {
		u64 value;
		u8 byte[sizeof(u64)];
	} now;
	size_t i;

	BUG_ON(!mutex_is_locked(&text_mutex));
	if (addr - quad + len > sizeof(now))
		panic("text_poke_in_quad: %lx straddles a quadword", addr);
	for (i = 0; i < sizeof(now); i++)
		now.byte[i] = ((const u8 *)quad)[i];
	for (i = 0; i < len; i++)
		now.byte[addr - quad + i] = ((const u8 *)opcode)[i];
	__text_poke(store_quad, quad, &now, sizeof(now));
}
