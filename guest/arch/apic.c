// SPDX-License-Identifier: MIT
/*
 * The local APIC: registers, set-up, interprocessor interrupts.
 *
 * The same registers are reached in two ways. xAPIC: one page of memory, uncached, so a write to it waits for
 * all earlier stores of this CPU to be visible. x2APIC: MSRs, and here WRMSR does not serialise and does not wait:
 * an IPI can overtake the stores that came before it (SDM Vol. 3A, "MSR Access in x2APIC Mode"). Linux therefore
 * puts MFENCE; LFENCE in front of it. This file deliberately does not: what stands there is what fence= says.
 */
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "smp.h"

/* Byte offsets in the xAPIC page; the x2APIC MSR is 0x800 plus a sixteenth of it. */
enum lapic_reg {
	APIC_ID = 0x020,
	APIC_LVR = 0x030,     /* version */
	APIC_TASKPRI = 0x080,
	APIC_EOI = 0x0b0,
	APIC_LDR = 0x0d0,
	APIC_DFR = 0x0e0,
	APIC_SPIV = 0x0f0,    /* spurious interrupt vector */
	APIC_ESR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR2 = 0x310,
	APIC_LVTT = 0x320,    /* timer */
	APIC_LVTPC = 0x340,   /* performance counters */
	APIC_LVT0 = 0x350,
	APIC_LVT1 = 0x360,
	APIC_LVTERR = 0x370,
};

#define APIC_SPIV_ENABLED (1u << 8)
#define APIC_LVT_MASKED (1u << 16)
#define APIC_DM_NMI (4u << 8)
#define APIC_DM_INIT (5u << 8)
#define APIC_DM_STARTUP (6u << 8)
#define APIC_ICR_BUSY (1u << 12)
#define APIC_INT_ASSERT (1u << 14)
#define APIC_DEST_SELF (1u << 18)
#define APIC_DEST_ALLBUT (3u << 18)

#define XAPIC_ENABLE (1u << 11)
#define X2APIC_ENABLE (1u << 10)
#define XAPIC_DEFAULT_PHYS_BASE 0xfee00000ul

bool x2apic_mode;

static u32 apic_read(enum lapic_reg reg)
{
	if (x2apic_mode)
		return (u32)rdmsr(0x800 + reg / 16);
	return *(volatile u32 *)(XAPIC_DEFAULT_PHYS_BASE + reg);
}

static void apic_write(enum lapic_reg reg, u32 v)
{
	if (x2apic_mode)
		wrmsr(0x800 + reg / 16, v);
	else
		*(volatile u32 *)(XAPIC_DEFAULT_PHYS_BASE + reg) = v;
}

/* The write to the low half sends, so the destination goes first. In x2APIC mode both are one register. */
static void apic_icr_write(u32 low, u32 apicid)
{
	unsigned long flags;

	if (x2apic_mode) {
		wrmsr(0x800 + APIC_ICR / 16, (u64)apicid << 32 | low);
		return;
	}
	flags = local_irq_save(); /* or an interrupt handler's IPI could slip between the halves */
	while (apic_read(APIC_ICR) & APIC_ICR_BUSY)
		cpu_relax();
	apic_write(APIC_ICR2, apicid << 24);
	apic_write(APIC_ICR, low);
	local_irq_restore(flags);
}

bool x2apic_supported(void)
{
	u32 r[4];

	cpuid_count(1, 0, r);
	return r[2] >> 21 & 1;
}

/* From "as INIT left it" to "takes IPIs". Reads top to bottom. */
void lapic_init(void)
{
	u64 base = rdmsr(MSR_IA32_APICBASE);

	if ((base & 0xfffff000u) != XAPIC_DEFAULT_PHYS_BASE)
		panic("APIC: not at %lx but at %x", XAPIC_DEFAULT_PHYS_BASE, (u32)base & 0xfffff000u);
	/* SDM Vol. 3A, "x2APIC State Transitions": only from enabled xAPIC mode, and never straight back. */
	wrmsr(MSR_IA32_APICBASE, base | XAPIC_ENABLE);
	if (x2apic_mode)
		wrmsr(MSR_IA32_APICBASE, base | XAPIC_ENABLE | X2APIC_ENABLE);

	/* While software-disabled it takes nothing but INIT, NMI and SIPI, and every LVT entry stays masked. */
	apic_write(APIC_SPIV, APIC_SPIV_ENABLED | SPURIOUS_APIC_VECTOR);

	/* We have no use for the timer, the counters, or what the 8259 and the NMI line might send. */
	apic_write(APIC_LVTT, APIC_LVT_MASKED);
	apic_write(APIC_LVT0, APIC_LVT_MASKED);
	apic_write(APIC_LVT1, APIC_LVT_MASKED);
	if ((apic_read(APIC_LVR) >> 16 & 0xff) >= 4)
		apic_write(APIC_LVTPC, APIC_LVT_MASKED);

	/* An error of the APIC is a bug of ours. The ESR wants a write before each read, and two to clear it. */
	apic_write(APIC_LVTERR, ERROR_APIC_VECTOR);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_ESR, 0);

	/* Whatever a predecessor left in service. */
	apic_eoi();

	/* Open to all priorities. */
	apic_write(APIC_TASKPRI, 0);
}

u32 read_apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return x2apic_mode ? id : id >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send_IPI(unsigned int cpu, u8 vector)
{
	apic_icr_write(APIC_INT_ASSERT | vector, x86_cpu_to_apicid[cpu]);
}

/*
 * One write for all where that means those that are online, as Linux does; CPUs that cpus= keeps out are asleep
 * with their APIC disabled, and are better not addressed at all.
 */
void apic_send_IPI_allbutself(u8 vector)
{
	unsigned int cpu;

	if (allbutself_is_exact) {
		if (nr_cpus_online > 1)
			apic_icr_write(APIC_DEST_ALLBUT | APIC_INT_ASSERT | vector, 0);
		return;
	}
	for_each_other_cpu(cpu)
		apic_send_IPI(cpu, vector);
}

void apic_send_IPI_self(u8 vector)
{
	apic_icr_write(APIC_DEST_SELF | APIC_INT_ASSERT | vector, 0);
}

void apic_send_NMI(unsigned int cpu)
{
	apic_icr_write(APIC_INT_ASSERT | APIC_DM_NMI, x86_cpu_to_apicid[cpu]);
}

void apic_send_INIT_allbutself(void)
{
	apic_icr_write(APIC_DEST_ALLBUT | APIC_INT_ASSERT | APIC_DM_INIT, 0);
}

void apic_send_SIPI_allbutself(u8 page)
{
	apic_icr_write(APIC_DEST_ALLBUT | APIC_INT_ASSERT | APIC_DM_STARTUP | page, 0);
}

void apic_show_errors(void)
{
	apic_write(APIC_ESR, 0);
	printk("APIC error on CPU%u: ESR %x\n", smp_processor_id(), apic_read(APIC_ESR));
}
