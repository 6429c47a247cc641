/* SPDX-License-Identifier: MIT */
/* Instructions that C has no word for. Shared by both widths. */
#ifndef CPU_H
#define CPU_H

#include "types.h"

#define X86_CR0_PE (1ul << 0)
#define X86_CR0_WP (1ul << 16)
#define X86_CR0_PG (1ul << 31)
#define X86_CR4_PSE (1ul << 4)
#define X86_CR4_PAE (1ul << 5)
#define X86_CR4_PGE (1ul << 7)
#define X86_EFLAGS_IF (1ul << 9)

#define MSR_IA32_APICBASE 0x1b
#define MSR_EFER 0xc0000080
#define EFER_NX (1u << 11)
#define MSR_GS_BASE 0xc0000101

static inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outb(u8 v, u16 port)
{
	__asm__ volatile("outb %0, %1" :: "a"(v), "Nd"(port));
}

static inline void outl(u32 v, u16 port)
{
	__asm__ volatile("outl %0, %1" :: "a"(v), "Nd"(port));
}

static inline void cpuid_count(u32 leaf, u32 subleaf, u32 r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(subleaf) : "memory");
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

#define DEFINE_CR(n)                                                                                   \
	static inline unsigned long read_cr##n(void)                                                   \
	{                                                                                              \
		unsigned long v;                                                                       \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) :: "memory");                          \
		return v;                                                                              \
	}                                                                                              \
	static inline void write_cr##n(unsigned long v)                                                \
	{                                                                                              \
		__asm__ volatile("mov %0, %%cr" #n :: "r"(v) : "memory");                              \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)

static inline void invlpg(unsigned long addr)
{
	__asm__ volatile("invlpg (%0)" :: "r"(addr) : "memory");
}

static inline unsigned long save_flags(void)
{
	unsigned long flags;
	__asm__ volatile("pushf; pop %0" : "=rm"(flags) :: "memory");
	return flags;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void local_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void local_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline unsigned long local_irq_save(void)
{
	unsigned long flags = save_flags();

	local_irq_disable();
	return flags;
}

static inline void local_irq_restore(unsigned long flags)
{
	if (flags & X86_EFLAGS_IF)
		local_irq_enable();
}

/* STI holds interrupts off for one more instruction, so no wake-up falls between it and the HLT. */
static inline void safe_halt(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

static inline __noreturn void halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

#endif
