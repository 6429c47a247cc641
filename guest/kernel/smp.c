// SPDX-License-Identifier: MIT
/* Functions on other CPUs: in their interrupt handler (smp_call_function) or in their idle loop (run_on_cpu). */
#include "smp.h"
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "spinlock.h"

unsigned int nr_cpus_online = 1;
u32 x86_cpu_to_apicid[NR_CPUS];
bool exploring;

struct call_function_data {
	smp_call_func_t func;
	void *info;
	bool wait;
	_Atomic u32 started, finished;
};

static DEFINE_SPINLOCK(call_lock);
static DEFINE_PER_CPU(_Atomic(struct call_function_data *), call_pending);

/*
 * CPU A                                            CPU B
 * 1. takes call_lock: one call at a time
 * 2. leaves a pointer to the call with
 *    every other CPU
 * 3. a locked operation, then the IPI        ->    4. takes the pointer, and leaves NULL
 *                                                  5. started++
 *                                                  6. func(info)
 * 8. waits for started, or for finished      <-    7. finished++ (if A waits for it)
 * 9. drops call_lock
 *
 * Without the locked operation an x2APIC IPI could arrive before the pointer: B would find nothing to do, and A would
 * wait for good. A needless IPI (B finds NULL) is harmless. After 5, B uses only its own copies unless A waits for 7:
 * the call is on A's stack. A waits with interrupts on: otherwise A and another caller, each waiting for the other's
 * answer, would wait forever.
 */
void smp_call_function(smp_call_func_t func, void *info, bool wait)
{
	struct call_function_data data = { func, info, wait, 0, 0 };
	unsigned int cpu, others = nr_cpus_online - 1;

	if (others == 0)
		return;
	BUG_ON(!(save_flags() & X86_EFLAGS_IF));

	spin_lock(&call_lock);
	for_each_other_cpu(cpu)
		atomic_store_explicit(&per_cpu(call_pending, cpu), &data, memory_order_release);
	smp_mb();
	apic_send_IPI_allbutself(CALL_FUNCTION_VECTOR);
	wait_until(atomic_load(wait ? &data.finished : &data.started) == others, "smp_call_function",
		   smp_processor_id());
	spin_unlock(&call_lock);
}

void generic_smp_call_function_interrupt(void)
{
	struct call_function_data *data = atomic_exchange(this_cpu_ptr(&call_pending), NULL);
	smp_call_func_t func;
	void *info;
	bool wait;

	if (!data)
		return;
	func = data->func;
	info = data->info;
	wait = data->wait;
	atomic_fetch_add(&data->started, 1);
	func(info);
	if (wait)
		atomic_fetch_add(&data->finished, 1);
}

void on_each_cpu(smp_call_func_t func, void *info, bool wait)
{
	smp_call_function(func, info, wait);
	func(info);
}

static DEFINE_PER_CPU(void (*_Atomic)(void), idle_work);

/* Waits in HLT, so that a CPU without work costs nothing; an IPI ends that. */
void __noreturn cpu_idle(void)
{
	void (*work)(void);

	for (;;) {
		local_irq_disable();
		work = atomic_load(this_cpu_ptr(&idle_work));
		if (!work) {
			safe_halt();
			continue;
		}
		local_irq_enable();
		work();
		atomic_store_explicit(this_cpu_ptr(&idle_work), NULL, memory_order_release);
	}
}

void run_on_cpu(unsigned int cpu, void (*func)(void))
{
	atomic_store(&per_cpu(idle_work, cpu), func);
	apic_send_IPI(cpu, RESCHEDULE_VECTOR);
}

void wait_for_cpu(unsigned int cpu)
{
	wait_until(atomic_load_explicit(&per_cpu(idle_work, cpu), memory_order_acquire) == NULL, "its work does not end",
		   cpu);
}
