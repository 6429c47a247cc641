// SPDX-License-Identifier: MIT
/*
 * explore=: the experiment for a machine that tries every order of events. Each CPU executes the site a few times while CPU 0
 * patches it, and between the two markers there is nothing else: no count, no output, no port, no clock. What
 * went wrong ends in panic(), and that is all there is to find.
 *
 * CPU 0                                            Every other CPU
 * 0. prepares, and waits for all                   0. runs the site once, and waits for all
 *    explore_begin()                                  explore_begin()
 * 1. patches, patches= times                       a. seq = patch_seq
 * 2. after each: patch_seq = "done"                b. executes the site
 *                                                  c. compares; a to c explore= times
 *    explore_end()                                    explore_end()
 * 3. waits for all, reports                        d. rests in HLT
 *
 * patch_seq is 0 before the first patch, 2k when the protocol has claimed the kth to be done, and 2k+1 while a further one
 * is going on. If B read the same 2k before and after its run, the site was at rest, and must have sent B where the kth
 * patch says. Before the first patch nothing can be stale, so its beginning is not announced.
 */
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "pgtable.h"
#include "params.h"
#include "sites.h"
#include "smp.h"
#include "workload.h"

/* What the key's sites are to become when it is disabled, and enabled. */
static struct text_poke_loc patches[2][SITE_MAX_RUNS];
static unsigned int nr_patches;

static _Atomic u32 arrived;

/* Own bodies, and __noipa: the compiler must neither merge the two nor see through them. */
__noipa void explore_begin(void)
{
	__asm__ volatile("" ::: "memory");
}

__noipa void explore_end(void)
{
	__asm__ volatile("" ::: "memory");
}

void explore_check(struct site_run run)
{
	u32 seq = (u32)run.seq;

	if (run.target > 1)
		panic("wrong target");
	if (seq != 0 && seq % 2 == 0 && READ_ONCE(patch_seq) == seq && run.target != key_enabled_at(seq))
		panic("stale instruction after the protocol claimed to be done");
}

static void execute(unsigned int times)
{
	const site_fn *run;

	for (; times > 0; times--) {
		if (params.site->context == SITE_NMI) {
			run_nmi_site();
			continue;
		}
		if (site_is_in_handler())
			run_handler_site();
		for (run = params.site->runs; run < params.site->runs + SITE_MAX_RUNS && *run; run++)
			explore_check((*run)(&patch_seq));
	}
}

static void patch(unsigned int round)
{
	if (round > 0)
		WRITE_ONCE(patch_seq, 2 * round + 1);
	text_poke_by_protocol(patches[!(round % 2)], nr_patches);
	WRITE_ONCE(patch_seq, 2 * (round + 1));
}

/* Found out beforehand. The key itself stays as it is: nobody asks it. */
static void prepare(void)
{
	const struct jump_entry *entry;
	u8 code[POKE_MAX_OPCODE_SIZE];
	unsigned int enabled;

	for (entry = params.site->key->entries; jump_entry_key(entry) == params.site->key; entry++) {
		if (!jump_label_can_update(entry))
			continue;
		for (enabled = 0; enabled < 2; enabled++) {
			arch_jump_label_code(entry, jump_label_type(entry, enabled), code);
			text_poke_loc_init(&patches[enabled][nr_patches], jump_entry_code(entry), code,
					   arch_jump_entry_size(entry));
		}
		nr_patches++;
	}
}

/* One turn of everything, so that no first time falls between the markers; then all at once, with nothing in flight. */
static void meet(bool executes)
{
	unsigned int i;

	for (i = 0; i < nr_patches; i++)
		(void)READ_ONCE(*(const u8 *)text_alias(patches[0][i].addr));
	if (executes)
		execute(1);
	atomic_fetch_add(&arrived, 1);
	wait_until(atomic_load(&arrived) == nr_cpus_online, "explore_begin", smp_processor_id());
	write_cr2(0); /* serialises, on every CPU there is */
	explore_begin();
}

static void worker(void)
{
	bool executes = !executes_alone();

	meet(executes);
	if (executes)
		execute(params.explore);
	explore_end();
}

void explore_run(void)
{
	unsigned int cpu, round;
	bool executes = executes_alone();

	prepare();
	this_cpu_write(poke_sends_nmi, params.site->context == SITE_NMI);
	mutex_lock(&text_mutex);
	for_each_other_cpu(cpu)
		run_on_cpu(cpu, worker);
	meet(executes);
	for (round = 0; round < params.patches; round++) {
		if (executes)
			execute(params.explore);
		patch(round);
	}
	if (executes)
		execute(params.explore);
	explore_end();

	for_each_other_cpu(cpu)
		wait_for_cpu(cpu);
	mutex_unlock(&text_mutex);
}

void explore_report(void)
{
	const struct text_poke_loc *last = patches[key_enabled_at(patch_seq)];
	bool ok = patch_seq == 2 * params.patches;
	unsigned int i;

	for (i = 0; i < nr_patches; i++)
		ok &= memcmp((const void *)last[i].addr, last[i].text, last[i].len) == 0;
	if (!ok)
		printk("check failed: memory holds what the last patch wrote\n");
	printk("result: %s", ok ? "PASS" : "FAIL");
	print_params();
	printk("\n");
	machine_exit(ok ? EXIT_SUCCESS : EXIT_FAILED);
}
