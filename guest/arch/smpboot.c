// SPDX-License-Identifier: MIT
/*
 * Waking the other CPUs: INIT, start-up IPI, and a count of who comes.
 *
 * SDM Vol. 3A, "Multiple-Processor (MP) Initialization Protocol".
 *
 * Boot CPU                                         Every other CPU
 * 1. copies the trampoline to TRAMPOLINE_BASE
 * 2. INIT to all but itself                  ->    reset, waits for a start-up IPI
 * 3. start-up IPI, twice                     ->    4. trampoline: real mode ... kernel
 *                                                  5. draws a ticket: its number
 *                                                  6. own stack, per-CPU area, GDT, TSS, IDT, APIC
 * 8. counts                                  <-    7. reports itself online; waits in cpu_idle()
 * 9. closes the ticket box
 *
 * Who comes after 9 draws a number beyond ap_limit and sleeps for good (boot/trampoline.S). A second start-up IPI to
 * a CPU that runs already is ignored by it. When the firmware has left a table of CPUs, 8 waits for that many;
 * otherwise until nobody new has come for QUIET_TURNS.
 */
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "pgtable.h"
#include "smp.h"

#define QUIET_TURNS 50000u
#define ARRIVAL_TURNS 20000000u /* with a table: how long we wait for a CPU that is listed and does not come */
#define TICKETS_CLOSED 0x40000000u

/* Linux waits 10 ms after INIT for CPUs that are long gone, and next to nothing on those since the P6. */
#define INIT_DELAY_US 10
#define STARTUP_DELAY_US 10

extern char trampoline_start[], trampoline_end[];
extern u32 tr_cr0, tr_cr3, tr_cr4, tr_efer;

_Atomic u32 ap_ticket = 1; /* the next CPU's number */
u32 ap_limit;              /* numbers below it are wanted */
char secondary_stacks[NR_CPUS][THREAD_SIZE] __aligned(16);
bool allbutself_is_exact;

static _Atomic u32 cpus_online = 1;

/* Entered from trampoline.S, on this CPU's own stack, with interrupts off and no per-CPU area yet. */
void start_secondary(unsigned int cpu) __noreturn;
void start_secondary(unsigned int cpu)
{
	setup_cpu(cpu);
	lapic_init();
	x86_cpu_to_apicid[cpu] = read_apic_id();
	atomic_fetch_add(&cpus_online, 1);
	cpu_idle();
}

static u32 *in_trampoline(const u32 *variable)
{
	return (u32 *)(TRAMPOLINE_BASE + ((unsigned long)variable - (unsigned long)trampoline_start));
}

static void __init setup_trampoline(void)
{
	memcpy((void *)TRAMPOLINE_BASE, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	*in_trampoline(&tr_cr0) = (u32)read_cr0();
	*in_trampoline(&tr_cr3) = (u32)swapper_pgd;
	*in_trampoline(&tr_cr4) = (u32)read_cr4();
#ifdef __x86_64__
	*in_trampoline(&tr_efer) = (1u << 8) | (cpu_has_nx ? EFER_NX : 0);
#else
	*in_trampoline(&tr_efer) = cpu_has_nx ? EFER_NX : 0;
#endif
	smp_mb(); /* an x2APIC start-up IPI would not wait for all this to be visible */
}

/* Waits until `expected` CPUs (0: unknown) have drawn a ticket, or no more are to be expected. Returns how many. */
static u32 __init wait_for_arrivals(u32 expected)
{
	u32 limit = expected ? ARRIVAL_TURNS : QUIET_TURNS, seen = 1, turns, now;

	for (turns = 0; turns < limit; turns++) {
		now = atomic_load_explicit(&ap_ticket, memory_order_relaxed);
		if ((expected && now >= expected) || now >= ap_limit)
			return now;
		if (now != seen)
			turns = 0;
		seen = now;
		cpu_relax();
	}
	return seen;
}

void __init smp_init(unsigned int max_cpus, unsigned int listed)
{
	u32 drawn;

	x86_cpu_to_apicid[0] = read_apic_id();
	if (max_cpus == 1)
		return;
	ap_limit = max_cpus ? max_cpus : NR_CPUS;

	setup_trampoline();
	apic_send_INIT_allbutself();
	udelay(INIT_DELAY_US);
	apic_send_SIPI_allbutself(TRAMPOLINE_BASE >> 12);
	udelay(STARTUP_DELAY_US);
	apic_send_SIPI_allbutself(TRAMPOLINE_BASE >> 12);

	wait_for_arrivals(listed);
	drawn = atomic_exchange(&ap_ticket, TICKETS_CLOSED);
	nr_cpus_online = drawn < ap_limit ? drawn : ap_limit;
	wait_until(atomic_load_explicit(&cpus_online, memory_order_acquire) == nr_cpus_online, "does not come online",
		   nr_cpus_online - 1);

	/* If someone sleeps in the trampoline, or might come late, "all excluding self" says too much. */
	allbutself_is_exact = !max_cpus || (listed && listed == nr_cpus_online);
	if (listed > nr_cpus_online && (!max_cpus || nr_cpus_online < max_cpus))
		printk("smpboot: %u of %u CPUs did not come\n", listed - nr_cpus_online, listed);
	if (max_cpus > nr_cpus_online)
		printk("smpboot: cpus=%u, but there are only %u\n", max_cpus, nr_cpus_online);
}
