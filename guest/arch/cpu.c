// SPDX-License-Identifier: MIT
/*
 * What a CPU owns: its copy of the per-CPU variables, its GDT and TSS; and the IDT, which all share.
 */
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "percpu.h"
#include "smp.h"

unsigned long __per_cpu_offset[NR_CPUS];
static char pcpu_areas[NR_CPUS][PER_CPU_SIZE] __aligned(64);

DEFINE_PER_CPU(unsigned long, this_cpu_off);
DEFINE_PER_CPU(unsigned int, cpu_number);

struct table_ptr {
	u16 limit;
	unsigned long base;
} __packed;

/* SDM Vol. 3A, "Task Management": we need it for nothing but the stacks. */
#ifdef __x86_64__
#define IST_DF 1
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7]; /* IST1 is ist[0] */
	u64 reserved2;
	u16 reserved3, io_bitmap_base;
} __packed;
#else
#define IST_DF 0
struct tss {
	u32 link, esp0, ss0, rest[22];
	u16 trap, io_bitmap_base;
} __packed;
#endif

static struct tss cpu_tss[NR_CPUS] __aligned(128);
static u64 cpu_gdt[NR_CPUS][GDT_ENTRIES] __aligned(64);
#ifdef __x86_64__
/*
 * A double fault may mean a bad stack, and brings its own. An NMI does not: all others are good ones here, and a #BP in its
 * handler ends in an IRET, which lets the next NMI in before the first is done (SDM Vol. 3A, "Handling Multiple NMIs").
 */
static char ist_stacks[NR_CPUS][IST_STACK_SIZE] __aligned(16);
#endif

struct idt_entry {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
#ifdef __x86_64__
	u32 offset_high, reserved;
#endif
} __packed;
static struct idt_entry idt_table[256] __aligned(16);
extern const char idt_stubs[];
extern const u64 boot_gdt[];

#define STUB_SIZE 16
#define GATE_INTERRUPT 0x8e /* present, DPL 0: interrupts are off in every handler, #BP's too */
#define X86_TRAP_DF 8

static void __init idt_setup(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(idt_table); i++) {
		unsigned long stub = (unsigned long)idt_stubs + i * STUB_SIZE;

		idt_table[i] = (struct idt_entry) {
			.offset_low = (u16)stub,
			.selector = __KERNEL_CS,
			.ist = i == X86_TRAP_DF ? IST_DF : 0,
			.type = GATE_INTERRUPT,
			.offset_middle = (u16)(stub >> 16),
		};
	}
}

/* A system descriptor's or a data segment's base and limit are scattered over eight bytes. */
static u64 descriptor(unsigned long base, u32 limit, u32 attributes)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)attributes << 40
		| (u64)(limit >> 16 & 0xf) << 48 | (u64)(base >> 24 & 0xff) << 56;
}

static void setup_gdt(unsigned int cpu)
{
	u64 *gdt = cpu_gdt[cpu];
	struct table_ptr ptr = { sizeof(cpu_gdt[cpu]) - 1, (unsigned long)gdt };

	gdt[__KERNEL32_CS / 8] = boot_gdt[__KERNEL32_CS / 8];
	gdt[__KERNEL_CS / 8] = boot_gdt[__KERNEL_CS / 8];
	gdt[__KERNEL_DS / 8] = boot_gdt[__KERNEL_DS / 8];
	/* Type 9: an available TSS. LTR makes it busy, so every CPU needs one of its own. The upper half is zero. */
	gdt[__KERNEL_TSS / 8] = descriptor((unsigned long)&cpu_tss[cpu], sizeof(struct tss) - 1, 0x0089);
#ifndef __x86_64__
	gdt[__KERNEL_PERCPU / 8] = descriptor(__per_cpu_offset[cpu], 0xfffff, 0xc093);
#endif
	__asm__ volatile("lgdt %0" :: "m"(ptr));
#ifdef __x86_64__
	wrmsr(MSR_GS_BASE, __per_cpu_offset[cpu]);
#else
	__asm__ volatile("mov %0, %%fs" :: "r"(__KERNEL_PERCPU));
#endif
}

static void setup_tss(unsigned int cpu)
{
	struct tss *tss = &cpu_tss[cpu];

	tss->io_bitmap_base = sizeof(*tss);
#ifdef __x86_64__
	tss->ist[IST_DF - 1] = (unsigned long)ist_stacks[cpu] + IST_STACK_SIZE;
#endif
	__asm__ volatile("ltr %w0" :: "r"(__KERNEL_TSS));
}

/* Each CPU does this for itself, before it touches any per-CPU variable. */
void setup_cpu(unsigned int cpu)
{
	const struct table_ptr idt = { sizeof(idt_table) - 1, (unsigned long)idt_table };
	char *area = pcpu_areas[cpu];

	memcpy(area, __per_cpu_start, (size_t)(__per_cpu_end - __per_cpu_start));
	__per_cpu_offset[cpu] = (unsigned long)area - (unsigned long)__per_cpu_start;
	setup_gdt(cpu);
	this_cpu_write(this_cpu_off, __per_cpu_offset[cpu]);
	this_cpu_write(cpu_number, cpu);
	setup_tss(cpu);

	if (cpu == 0)
		idt_setup();
	__asm__ volatile("lidt %0" :: "m"(idt));
}
