// SPDX-License-Identifier: MIT
/* stop_machine(): one CPU works, the others stand still. Linux does it with a thread on each CPU, we with an IPI. */
#include "stop_machine.h"
#include "cpu.h"
#include "smp.h"
#include "sync_core.h"

enum multi_stop_state { MULTI_STOP_PREPARE, MULTI_STOP_DISABLE_IRQ, MULTI_STOP_RUN, MULTI_STOP_EXIT };

struct multi_stop_data {
	int (*fn)(void *data);
	void *data;
	bool sync;
	int result;
	unsigned int num_cpus, active_cpu;
	_Atomic int state;
	_Atomic u32 thread_ack; /* how many have yet to acknowledge `state` */
};

static void set_state(struct multi_stop_data *msdata, enum multi_stop_state newstate)
{
	/* Ordering: the counter is full again before anyone can see the state that it counts for. */
	atomic_store_explicit(&msdata->thread_ack, msdata->num_cpus, memory_order_relaxed);
	atomic_store_explicit(&msdata->state, newstate, memory_order_release);
}

/*
 * The last one to acknowledge a state moves all to the next. The last to acknowledge EXIT touches msdata no more: it is
 * on the stack of a function that may have returned.
 */
static void ack_state(struct multi_stop_data *msdata, enum multi_stop_state state)
{
	if (atomic_fetch_sub(&msdata->thread_ack, 1) == 1 && state != MULTI_STOP_EXIT)
		set_state(msdata, state + 1);
}

/*
 * All CPUs go through the same states:
 *
 * 1. PREPARE      everyone is here
 * 2. DISABLE_IRQ  everyone has interrupts off
 * 3. RUN          the active CPU calls fn; the others have nothing to do but acknowledge
 * 4. EXIT         everyone runs sync_core(), if that is asked for, and leaves
 *
 * A CPU may lag behind in any state: the next one does not begin before it has acknowledged. An NMI could still come
 * in while fn writes, which is why its handler must not run what is being patched.
 */
static void multi_cpu_stop(void *data)
{
	struct multi_stop_data *msdata = data;
	bool is_active = smp_processor_id() == msdata->active_cpu;
	unsigned long flags = save_flags();
	int curstate = -1, newstate;

	do {
		wait_until((newstate = atomic_load_explicit(&msdata->state, memory_order_acquire)) != curstate,
			   "stop_machine", smp_processor_id());
		curstate = newstate;
		switch (curstate) {
		case MULTI_STOP_DISABLE_IRQ:
			local_irq_disable();
			break;
		case MULTI_STOP_RUN:
			if (is_active)
				msdata->result = msdata->fn(msdata->data);
			break;
		case MULTI_STOP_EXIT:
			/* text_poke_smp() of 2010 lacked this at first (Linux 0e00f7aed6af). */
			if (msdata->sync)
				sync_core();
			break;
		default:
			break;
		}
		ack_state(msdata, (enum multi_stop_state)curstate);
	} while (curstate != MULTI_STOP_EXIT);
	local_irq_restore(flags);
}

int stop_machine(int (*fn)(void *data), void *data, bool sync)
{
	struct multi_stop_data msdata = {
		.fn = fn, .data = data, .sync = sync, .num_cpus = nr_cpus_online, .active_cpu = smp_processor_id(),
	};

	set_state(&msdata, MULTI_STOP_PREPARE);
	smp_call_function(multi_cpu_stop, &msdata, false);
	multi_cpu_stop(&msdata);
	/* msdata is on this stack: stay until the last CPU has let go of it. */
	wait_until(atomic_load(&msdata.thread_ack) == 0, "stop_machine exit", smp_processor_id());
	return msdata.result;
}
