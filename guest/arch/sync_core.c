// SPDX-License-Identifier: MIT
/*
 * sync_core(): after it, this CPU fetches anew. Which instruction it is built of is the experiment: sync=.
 *
 * SDM Vol. 3A, "Serializing Instructions": CPUID, IRET, SERIALIZE, MOV to CR. LFENCE and MFENCE are not among them
 * ("memory ordering instructions"), although the 2009 mail took MFENCE for one; AMD lists it.
 */
#include "sync_core.h"
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "params.h"
#include "smp.h"

static enum sync_kind effective_sync;
static enum fence_kind effective_fence;
static bool locked_fence; /* fence= falls back to a locked operation */

static unsigned long sync_requests; /* by text_mutex */
static DEFINE_PER_CPU(unsigned long, sync_acks);
static DEFINE_PER_CPU(bool, sync_deferred); /* ack=before-sync: answered, and still to be done */

static __always_inline void serialize_by_cpuid(void)
{
	u32 r[4];

	cpuid_count(0, 0, r);
}

/* Linux's iret_to_self(): a frame whose return address is the next instruction. */
static __always_inline void iret_to_self(void)
{
#ifdef __x86_64__
	unsigned long scratch;

	__asm__ volatile("mov %%ss, %k0\n\t"
			 "push %0\n\t"
			 "push %%rsp\n\t"
			 "addq $8, (%%rsp)\n\t"
			 "pushfq\n\t"
			 "mov %%cs, %k0\n\t"
			 "push %0\n\t"
			 "push $1f\n\t"
			 "iretq\n"
			 "1:" : "=&r"(scratch) :: "memory", "cc");
#else
	__asm__ volatile("pushfl\n\t"
			 "pushl %%cs\n\t"
			 "pushl $1f\n\t"
			 "iret\n"
			 "1:" ::: "memory", "cc");
#endif
}

void sync_core(void)
{
	switch (effective_sync) {
	case SYNC_NONE:
		barrier();
		break;
	case SYNC_LFENCE:
		__asm__ volatile("lfence" ::: "memory");
		break;
	case SYNC_MFENCE:
		__asm__ volatile("mfence" ::: "memory");
		break;
	case SYNC_LFENCE_CPUID:
		__asm__ volatile("lfence" ::: "memory");
		serialize_by_cpuid();
		break;
	case SYNC_CPUID:
		serialize_by_cpuid();
		break;
	case SYNC_IRET:
		iret_to_self();
		break;
	case SYNC_SERIALIZE:
		__asm__ volatile(".byte 0x0f, 0x01, 0xe8" ::: "memory");
		break;
	case SYNC_MOV_CR2:
		write_cr2(0);
		break;
	}
}

void do_sync_core(void *info)
{
	(void)info;
	if (params.ack == ACK_BEFORE_SYNC)
		this_cpu_write(sync_deferred, true);
	else
		sync_core();
}

void sync_core_deferred(void)
{
	if (!this_cpu_read(sync_deferred))
		return;
	this_cpu_write(sync_deferred, false);
	sync_core();
}

void poke_fence(void)
{
	if (locked_fence) {
		smp_mb();
		return;
	}
	switch (effective_fence) {
	case FENCE_NONE:
		barrier();
		break;
	case FENCE_SFENCE:
		__asm__ volatile("sfence" ::: "memory");
		break;
	case FENCE_MFENCE:
		__asm__ volatile("mfence" ::: "memory");
		break;
	case FENCE_MFENCE_LFENCE:
		__asm__ volatile("mfence; lfence" ::: "memory");
		break;
	}
}

/*
 * CPU A                                            CPU B
 * 1. one request more
 * 2. sends the IPI                           ->    3. runs sync_core()
 *                                                  4. counts its answer (ack=before-sync: 4, and
 *                                                     3 when it leaves the handler)
 * 5. waits until every CPU has answered as    <-
 *    often as was asked
 * 6. does 3 and 4 itself: A executes the
 *    site too, some day
 *
 * Only A makes B answer: text_mutex keeps a second A out, and no one else sends this vector, so one count is one
 * answer. If B is in a section with interrupts off, A waits; B may not wait for A there, and so the #BP handler
 * never spins. B's count is a plain store after its sync_core(): TSO keeps A from seeing the one without the other.
 */
void sync_core_on_each_cpu(void)
{
	unsigned int cpu;

	sync_requests++;
	apic_send_IPI_allbutself(SYNC_CORE_VECTOR);
	for_each_other_cpu(cpu)
		wait_until(READ_ONCE(per_cpu(sync_acks, cpu)) == sync_requests, "no answer to the sync IPI", cpu);
	sync_core();
	this_cpu_inc(sync_acks);
}

void sysvec_sync_core(void)
{
	do_sync_core(NULL);
	this_cpu_inc(sync_acks);
}

const char *__init sync_core_init(void)
{
	bool sse, sse2;
	u32 r[4];

	cpuid_count(1, 0, r);
	sse = r[3] >> 25 & 1;
	sse2 = r[3] >> 26 & 1;

	effective_sync = params.sync;
	effective_fence = params.fence;
	if (params.sync == SYNC_SERIALIZE) {
		cpuid_count(0, 0, r);
		if (r[0] >= 7)
			cpuid_count(7, 0, r);
		else
			r[3] = 0;
		if (!(r[3] >> 14 & 1))
			return "sync=serialize: this CPU has no SERIALIZE instruction (CPUID.7:EDX[14])";
	}
	/* "I assume that old processor doesn't have mfence and is that OK?" "We can use cpuid for portability." */
	if (!sse2 && (params.sync == SYNC_LFENCE || params.sync == SYNC_MFENCE || params.sync == SYNC_LFENCE_CPUID)) {
		effective_sync = SYNC_CPUID;
		printk("sync_core: no SSE2 here, so cpuid in place of sync=%s\n", sync_names[params.sync]);
	}
	if ((params.fence == FENCE_SFENCE && !sse) || (params.fence >= FENCE_MFENCE && !sse2)) {
		locked_fence = true;
		printk("poke_fence: no SSE%s here, so a locked operation in place of fence=%s\n",
		       params.fence == FENCE_SFENCE ? "" : "2", fence_names[params.fence]);
	}
	return NULL;
}
