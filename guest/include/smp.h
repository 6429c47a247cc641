/* SPDX-License-Identifier: MIT */
#ifndef SMP_H
#define SMP_H

#include "cpu.h"
#include "kernel.h"
#include "percpu.h"

/* CPUs are numbered without gaps: 0 is the boot CPU, the others in the order in which they arrived. */
extern unsigned int nr_cpus_online;
extern u32 x86_cpu_to_apicid[NR_CPUS];

#define for_each_online_cpu(cpu) for ((cpu) = 0; (cpu) < nr_cpus_online; (cpu)++)
#define for_each_other_cpu(cpu)                                                                        \
	for ((cpu) = 0; (cpu) < nr_cpus_online; (cpu)++)                                               \
		if ((cpu) != smp_processor_id())

/* arch/smpboot.c */
/* `max_cpus` 0: as many as there are. `listed`: how many the firmware knows of, 0 if nobody knows. */
void smp_init(unsigned int max_cpus, unsigned int listed);
/* True if an IPI to "all excluding self" reaches exactly the CPUs that are online. */
extern bool allbutself_is_exact;

/* arch/cpu.c */
void setup_cpu(unsigned int cpu);

/* kernel/smp.c */
typedef void (*smp_call_func_t)(void *info);
/*
 * Runs func(info) on every other CPU, in its interrupt handler. With `wait` it returns when all have run it, without
 * when all have begun to. Interrupts must be on: another CPU may be doing the same.
 */
void smp_call_function(smp_call_func_t func, void *info, bool wait);
/* The same, and on this CPU too. */
void on_each_cpu(smp_call_func_t func, void *info, bool wait);
void generic_smp_call_function_interrupt(void);
/* Has `cpu` leave its idle loop and call func() there with interrupts on, once. */
void run_on_cpu(unsigned int cpu, void (*func)(void));
void wait_for_cpu(unsigned int cpu);
void cpu_idle(void) __noreturn;

/* arch/udelay.c */
void udelay(unsigned int usecs);

/*
 * Polls `condition` with PAUSE. No wait in this kernel is longer than a few thousand turns unless a CPU is dead or an
 * interrupt was lost, and that should end in a report, not in silence.
 */
#define SPIN_LIMIT 30000000u
/*
 * Set under explore=: wait without counting. A turn that changes nothing leaves the CPU in the state that it was in, and by
 * that an explorer sees that it is waiting, and whether anything can ever end it.
 */
extern bool exploring;
#define wait_until(condition, what, cpu)                                                               \
	do {                                                                                           \
		unsigned int turns__ = 0;                                                              \
		while (!(condition)) {                                                                 \
			cpu_relax();                                                                   \
			if (unlikely(!exploring && ++turns__ == SPIN_LIMIT))                       \
				panic("waited too long for CPU%u: %s", (unsigned int)(cpu), what);     \
		}                                                                                      \
	} while (0)

#endif
