// SPDX-License-Identifier: MIT
/*
 * The kernel's address space.
 *
 * Both builds use 8-byte entries: 4-level paging on 64 bits, PAE on 32, which is its lower three levels. Linear equals
 * physical, in 4 KiB pages, so that everything has just the rights that it needs; what the kernel has no use for is not
 * there at all.
 *
 *   0               nothing: a NULL dereference faults
 *   TRAMPOLINE_BASE read, execute
 *   _text           read, execute       <- CR0.WP is set, so the kernel cannot write here either
 *   _etext          nothing (guard)     <- a wild jump just past the end of the text faults
 *   _rodata         read
 *   __init_begin    read, write, execute until free_initmem(), then nothing
 *   _data           read, write
 *   _end            nothing
 *   ALIAS_BASE + x  read, write: a second mapping of text and init text, for poke=alias
 *   POKING_ADDR     in poking_mm alone, and only while poke=alias-mm writes
 *   0xfec00000      read, write, uncached: I/O APIC and local APIC
 *
 * "Execute" and its absence need NX; where the CPU has none (pentium3) everything that is present is executable.
 */
#include "pgtable.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "smp.h"

typedef u64 pte_t;

#define PTRS_PER_TABLE 512
#define PMD_SIZE 0x200000ul

#define _PAGE_PRESENT (1ull << 0)
#define _PAGE_RW (1ull << 1)
#define _PAGE_PWT (1ull << 3)
#define _PAGE_PCD (1ull << 4)
#define _PAGE_ACCESSED (1ull << 5)
#define _PAGE_DIRTY (1ull << 6)
#define _PAGE_PSE (1ull << 7)
#define _PAGE_GLOBAL (1ull << 8)
#define _PAGE_NX (1ull << 63)

/* A and D are set beforehand, as Linux does for kernel pages: nobody here wants to know. */
#define PAGE_KERNEL_EXEC (_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY)
#define PAGE_KERNEL_ROX (_PAGE_PRESENT | _PAGE_ACCESSED)
#define PAGE_KERNEL_RO (PAGE_KERNEL_ROX | _PAGE_NX)
#define PAGE_KERNEL (PAGE_KERNEL_EXEC | _PAGE_NX)
#define PAGE_KERNEL_IO (PAGE_KERNEL | _PAGE_PCD | _PAGE_PWT)

typedef pte_t table_t[PTRS_PER_TABLE] __aligned(4096);

#ifdef __x86_64__
static table_t swapper_pml4, poking_pml4;
#endif
/* A PAE page-directory-pointer table has 4 entries; 64-bit mode reads 512. */
static table_t swapper_pdpt, poking_pdpt;
static table_t low_pmd, alias_pmd, io_pmd, poking_pmd; /* one GiB each: 0, 1, 3, and 2 in poking_mm */
static table_t low_pt[2], alias_pt, poking_pt;         /* the first 4 MiB of the first; 2 MiB of the others */

bool cpu_has_nx;
static pte_t supported_bits;
unsigned long swapper_pgd, poking_pgd;

static void set_pte(pte_t *pte, pte_t value)
{
#ifdef __x86_64__
	WRITE_ONCE(*pte, value);
#else
	/* Two stores. No walker sees half an entry: it becomes present last, and ceases to be so first. */
	volatile u32 *half = (volatile u32 *)pte;

	half[0] = 0;
	half[1] = (u32)(value >> 32);
	half[0] = (u32)value;
#endif
}

static pte_t mk_pte(unsigned long phys, pte_t prot)
{
	return phys | (prot & supported_bits);
}

/* Non-leaf entries grant everything; the leaf decides. */
static pte_t mk_table(const void *table)
{
	return (unsigned long)table | _PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED;
}

static void map_pages(pte_t *pt, unsigned long from, unsigned long to, pte_t prot)
{
	unsigned long phys;

	for (phys = from & PAGE_MASK; phys < to; phys += PAGE_SIZE)
		set_pte(&pt[phys / PAGE_SIZE], mk_pte(phys, prot));
}

static void __init detect_features(void)
{
	u32 r[4];

	cpuid_count(1, 0, r);
	if (!(r[3] >> 6 & 1))
		panic("this CPU has no PAE");
	supported_bits = ~(_PAGE_NX | _PAGE_GLOBAL);
	if (r[3] >> 13 & 1)
		supported_bits |= _PAGE_GLOBAL;

	cpuid_count(0x80000000, 0, r);
	if (r[0] >= 0x80000001 && r[0] < 0x80010000) {
		cpuid_count(0x80000001, 0, r);
		cpu_has_nx = r[3] >> 20 & 1;
	}
	if (cpu_has_nx) {
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX);
		supported_bits |= _PAGE_NX;
	}
}

static void __init map_kernel(void)
{
	unsigned long i;
	pte_t *pt = low_pt[0]; /* the two tables are neighbours: one array of 1024 entries */

	/* Low memory holds the BIOS's tables and the trampoline; page 0 stays empty. */
	map_pages(pt, PAGE_SIZE, (unsigned long)_text, PAGE_KERNEL | _PAGE_GLOBAL);
	map_pages(pt, TRAMPOLINE_BASE, TRAMPOLINE_BASE + 1, PAGE_KERNEL_EXEC | _PAGE_GLOBAL);
	map_pages(pt, (unsigned long)_text, (unsigned long)_etext, PAGE_KERNEL_ROX | _PAGE_GLOBAL);
	map_pages(pt, (unsigned long)_rodata, (unsigned long)_erodata, PAGE_KERNEL_RO | _PAGE_GLOBAL);
	map_pages(pt, (unsigned long)__init_begin, (unsigned long)__init_end, PAGE_KERNEL_EXEC | _PAGE_GLOBAL);
	map_pages(pt, (unsigned long)_data, (unsigned long)_end, PAGE_KERNEL | _PAGE_GLOBAL);
	set_pte(&low_pmd[0], mk_table(low_pt[0]));
	set_pte(&low_pmd[1], mk_table(low_pt[1]));

	map_pages(alias_pt, (unsigned long)_text, (unsigned long)_etext, PAGE_KERNEL | _PAGE_GLOBAL);
	map_pages(alias_pt, (unsigned long)_sinittext, (unsigned long)_einittext, PAGE_KERNEL | _PAGE_GLOBAL);
	set_pte(&alias_pmd[0], mk_table(alias_pt));

	/* 0xfec00000 and 0xfee00000, the entries 502 and 503 of the fourth GiB. */
	for (i = 0xfec00000ul / PMD_SIZE; i <= 0xfee00000ul / PMD_SIZE; i++)
		set_pte(&io_pmd[i % PTRS_PER_TABLE], mk_pte(i * PMD_SIZE, PAGE_KERNEL_IO | _PAGE_PSE | _PAGE_GLOBAL));

	set_pte(&poking_pmd[0], mk_table(poking_pt));
}

/* poking_mm is the kernel's address space and one more GiB: entry 2. */
static void __init link_tables(table_t pdpt, bool poking)
{
	/* A PAE page-directory-pointer entry has neither R/W nor A: they are reserved there. */
#ifdef __x86_64__
	const pte_t reserved = 0;
#else
	const pte_t reserved = _PAGE_RW | _PAGE_ACCESSED;
#endif
	set_pte(&pdpt[0], mk_table(low_pmd) & ~reserved);
	set_pte(&pdpt[1], mk_table(alias_pmd) & ~reserved);
	if (poking)
		set_pte(&pdpt[2], mk_table(poking_pmd) & ~reserved);
	set_pte(&pdpt[3], mk_table(io_pmd) & ~reserved);
}

void __init paging_init(void)
{
	unsigned long cr4 = read_cr4() | X86_CR4_PAE;

	detect_features();
	map_kernel();
	link_tables(swapper_pdpt, false);
	link_tables(poking_pdpt, true);
#ifdef __x86_64__
	set_pte(&swapper_pml4[0], mk_table(swapper_pdpt));
	set_pte(&poking_pml4[0], mk_table(poking_pdpt));
	swapper_pgd = (unsigned long)swapper_pml4;
	poking_pgd = (unsigned long)poking_pml4;
#else
	swapper_pgd = (unsigned long)swapper_pdpt;
	poking_pgd = (unsigned long)poking_pdpt;
#endif
	write_cr4(cr4);
	write_cr3(swapper_pgd);
	write_cr0(read_cr0() | X86_CR0_PG | X86_CR0_WP);
	/* Global pages last: what was cached of the early tables is gone by now. */
	if (supported_bits & _PAGE_GLOBAL)
		write_cr4(cr4 | X86_CR4_PGE);
}

static void flush_tlb_kernel_range(void *info)
{
	const unsigned long *range = info;
	unsigned long addr;

	for (addr = range[0]; addr < range[1]; addr += PAGE_SIZE) {
		invlpg(addr);
		invlpg(addr + ALIAS_BASE);
	}
}

/*
 * From here on init text and data are not there: neither at their own address nor through the alias.
 */
void free_initmem(void)
{
	unsigned long range[2] = { (unsigned long)__init_begin, (unsigned long)__init_end };
	unsigned long addr;

	for (addr = range[0]; addr < range[1]; addr += PAGE_SIZE) {
		set_pte(&low_pt[0][addr / PAGE_SIZE], 0);
		set_pte(&alias_pt[addr / PAGE_SIZE], 0);
	}
	/* A CPU may use what its TLB still has, global entries above all, until it is told. */
	on_each_cpu(flush_tlb_kernel_range, range, true);
	printk("Freeing unused kernel image (initmem) memory: %luK\n", (range[1] - range[0]) / 1024);
}

unsigned long map_poking_pages(unsigned long addr, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < pages; i++)
		set_pte(&poking_pt[i], mk_pte((addr & PAGE_MASK) + i * PAGE_SIZE, PAGE_KERNEL));
	return POKING_ADDR + (addr & ~PAGE_MASK);
}

void unmap_poking_pages(void)
{
	set_pte(&poking_pt[0], 0);
	set_pte(&poking_pt[1], 0);
}

unsigned long text_alias(unsigned long addr)
{
	return ALIAS_BASE + addr;
}
