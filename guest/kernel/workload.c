// SPDX-License-Identifier: MIT
/*
 * The experiment: one CPU patches, all others run through the site and note where it sent them.
 *
 * patch_seq tells them what to expect. It is odd while a patch is going on, and even in between: 0 before
 * the first, 2 after it, and so on; the key is enabled exactly when half of it is odd.
 *
 * CPU A                                            CPU B
 * 1. patch_seq++ (odd)                             a. seq = patch_seq
 * 2. static_key_enable() or _disable()             b. executes the site
 * 3. patch_seq++ (even)                            c. seq2 = patch_seq
 * 4. waits until every B has begun a run
 *    with this seq
 *
 * If B read the same even number in a and c, its whole run was outside of any patch, so it must have gone where the key
 * says: otherwise it executed a stale instruction after the protocol claimed to be done. If not, both ways are right.
 * TSO keeps 1, 2, 3 in order as B sees them, and a before c.
 */
#include "workload.h"
#include "apic.h"
#include "asm.h"
#include "cpu.h"
#include "kernel.h"
#include "params.h"
#include "sites.h"
#include "smp.h"

u32 patch_seq;
static bool stop;

static DEFINE_PER_CPU(unsigned long, runs_old);
static DEFINE_PER_CPU(unsigned long, runs_new);
static DEFINE_PER_CPU(unsigned long, runs_wrong); /* neither target */
static DEFINE_PER_CPU(unsigned long, runs_stale);
static DEFINE_PER_CPU(unsigned long, handler_runs);
static DEFINE_PER_CPU(u32, last_seq) = ~0u;
DECLARE_PER_CPU(unsigned long, int3_count);
DECLARE_PER_CPU(unsigned long, int3_retries);

static void account(struct site_run run)
{
	u32 before = (u32)run.seq, after = READ_ONCE(patch_seq);

	if (run.target == 0)
		this_cpu_inc(runs_old);
	else if (run.target == 1)
		this_cpu_inc(runs_new);
	else
		this_cpu_inc(runs_wrong);
	if (before % 2 == 0 && before == after && run.target != key_enabled_at(before))
		this_cpu_inc(runs_stale);
	this_cpu_write(last_seq, before);
}

static void account_handler(struct site_run run)
{
	if (exploring)
		explore_check(run);
	else
		account(run);
	this_cpu_inc(handler_runs);
}

/* From entry.S, at the end of every IPI: where the sites in the handler's tail went. */
void account_handler_tail(unsigned long target, unsigned long seq, unsigned long line_target);
void account_handler_tail(unsigned long target, unsigned long seq, unsigned long line_target)
{
	if (params.site->context == SITE_HANDLER)
		account_handler((struct site_run) { target, seq });
	else if (params.site->context == SITE_HANDLER_LINE)
		account_handler((struct site_run) { line_target, seq });
	sync_core_deferred();
}

/* An NMI that nobody died of. */
bool exc_nmi(void)
{
	const struct text_poke_protocol *protocol = params.protocol;

	if (params.site->context != SITE_NMI)
		return false;
	if (protocol->nmi_enter)
		protocol->nmi_enter();
	account_handler(params.site->runs[0](&patch_seq));
	if (protocol->nmi_exit)
		protocol->nmi_exit();
	return true;
}

/* An IPI to oneself with no call pending: nothing but the tail is left of it. Wait for it, or they would pile up. */
void run_handler_site(void)
{
	unsigned long runs = this_cpu_read(handler_runs);

	apic_send_IPI_self(CALL_FUNCTION_VECTOR);
	wait_until(this_cpu_read(handler_runs) != runs, "its IPI to itself does not come", smp_processor_id());
}

/* Takes it whatever it is doing: interrupts may be off, and it may stand in stop_machine(). */
void run_nmi_site(void)
{
	unsigned long runs = this_cpu_read(handler_runs);

	apic_send_NMI(smp_processor_id());
	wait_until(this_cpu_read(handler_runs) != runs, "its NMI to itself does not come", smp_processor_id());
}

static void run_site(void)
{
	const site_fn *run = params.site->runs;
	unsigned int i;

	if (params.site->context == SITE_NMI) {
		run_nmi_site();
		return;
	}
	if (site_is_in_handler())
		run_handler_site();
	for (i = 0; i < SITE_MAX_RUNS && run[i]; i++)
		account(run[i](&patch_seq));
}

static void executor(void)
{
	while (!READ_ONCE(stop)) {
		run_site();
		cpu_relax();
	}
}

noinline void patch_begin(u32 round)
{
	__asm__ volatile("" :: "r"(round) : "memory");
}

noinline void patch_end(u32 round)
{
	__asm__ volatile("" :: "r"(round) : "memory");
}

/* Until everybody has begun, and so will have counted, a run with the present state of the site. */
static void wait_for_executors(void)
{
	u32 seq = patch_seq;
	unsigned int cpu, i;

	if (executes_alone()) {
		for (i = 0; i < 8; i++)
			run_site();
		wait_until(READ_ONCE(per_cpu(last_seq, 0)) == seq, "the site is not executed", 0);
		return;
	}
	for_each_other_cpu(cpu)
		wait_until(READ_ONCE(per_cpu(last_seq, cpu)) == seq, "the site is not executed", cpu);
}

/* Shifts the patch against the executors' loops, always in the same way. */
static void vary_phase(u32 round)
{
	u32 turns = (round * 2654435761u) >> 27;

	while (turns--)
		cpu_relax();
}

static void patch_once(u32 round)
{
	struct static_key *key = params.site->key;

	WRITE_ONCE(patch_seq, patch_seq + 1);
	patch_begin(round);
	if (key_enabled_at(patch_seq + 1))
		static_key_enable(key);
	else
		static_key_disable(key);
	patch_end(round);
	WRITE_ONCE(patch_seq, patch_seq + 1);
}

void workload_run(void)
{
	unsigned int cpu;
	u32 round;

	if (!executes_alone())
		for_each_other_cpu(cpu)
			run_on_cpu(cpu, executor);

	this_cpu_write(poke_sends_nmi, params.site->context == SITE_NMI);
	wait_for_executors();
	for (round = 0; round < params.rounds; round++) {
		vary_phase(round);
		patch_once(round);
		wait_for_executors();
	}

	this_cpu_write(poke_sends_nmi, false);
	WRITE_ONCE(stop, true);
	if (!executes_alone())
		for_each_other_cpu(cpu)
			wait_for_cpu(cpu);
}

/* While init text is there its sites are patched like any other. */
void __init workload_init_text(void)
{
	unsigned int i;
	u32 seq = 0;

	if (!SITE_IS_INIT(params.site))
		return;
	for (i = 0; i < 4; i++) {
		struct site_run run;

		if (i % 2 == 0)
			static_key_enable(params.site->key);
		else
			static_key_disable(params.site->key);
		run = run_site_init(&seq);
		if (run.target != (i % 2 == 0))
			panic("site=init: went to %lu after toggle %u", run.target, i);
	}
	if (jump_label_skipped)
		panic("site=init: skipped while init text was still there");
	jump_label_trust_init_text = strlen(params.site->name) > strlen("init");
}

void __init workload_check_params(void)
{
	const struct jump_entry *entry = params.site->key->entries;
	unsigned int i;

	if (exploring && params.explore == 0 && params.site->context == SITE_CALLED)
		refuse("explore=0: a site that is called needs at least 1; only handlers run by themselves");
	if (params.protocol->nmi_enter && params.poke == POKE_ALIAS_MM)
		refuse("protocol=%s: poke=alias-mm has one mapping, and an NMI would take it from under the patching CPU",
		       params.protocol->name);
	if (!(params.protocol->flags & POKE_QUADWORD))
		return;
	for (i = 0; jump_entry_key(entry + i) == params.site->key; i++) {
		unsigned long code = jump_entry_code(entry + i);

		if (code % 8 + arch_jump_entry_size(entry + i) > 8)
			refuse("protocol=%s: site=%s straddles an aligned quadword at %lx", params.protocol->name,
			       params.site->name, code);
	}
}

/* Our own counts. Each line is one thing that has to hold, whatever the machine did. */
static bool check(bool ok, const char *what)
{
	if (!ok)
		printk("check failed: %s\n", what);
	return ok;
}

void workload_report(void)
{
	unsigned long old = 0, new = 0, wrong = 0, stale = 0, int3 = 0, retried = 0;
	unsigned int cpu;
	bool ok = true;

	for_each_online_cpu(cpu) {
		unsigned long runs = per_cpu(runs_old, cpu) + per_cpu(runs_new, cpu) + per_cpu(runs_wrong, cpu);
		bool executes = executes_alone() ? cpu == 0 : cpu != 0;

		printk("cpu%u: old %lu new %lu int3 %lu retried %lu stale %lu wrong %lu\n", cpu, per_cpu(runs_old, cpu),
		       per_cpu(runs_new, cpu), per_cpu(int3_count, cpu), per_cpu(int3_retries, cpu),
		       per_cpu(runs_stale, cpu), per_cpu(runs_wrong, cpu));
		/* One for every state of the site, or wait_for_executors() did not wait. */
		if (executes)
			ok &= check(runs > params.rounds, "every executing CPU ran the site in every round");
		else if (!site_is_in_handler())
			ok &= check(runs == 0, "no other CPU ran the site");
		old += per_cpu(runs_old, cpu);
		new += per_cpu(runs_new, cpu);
		wrong += per_cpu(runs_wrong, cpu);
		stale += per_cpu(runs_stale, cpu);
		int3 += per_cpu(int3_count, cpu);
		retried += per_cpu(int3_retries, cpu);
	}
	ok &= check(wrong == 0, "every run went to the old or the new target");
	ok &= check(stale == 0, "no run went to the old target after the patch was done");
	ok &= check(old > 0 && new > 0, "both targets were reached");
	ok &= check(patch_seq == 2 * params.rounds, "every round patched once");
	ok &= check((static_key_count(params.site->key) > 0) == key_enabled_at(patch_seq), "the key is as left");
	ok &= check(jump_label_skipped == (SITE_IS_INIT(params.site) ? params.rounds : 0),
		    "freed init text was skipped, and nothing else");
	if (params.protocol->flags & POKE_NO_BREAKPOINT)
		ok &= check(int3 == 0, "no breakpoint where none was written");
	ok &= check(retried <= int3, "no more retries than breakpoints");

	printk("result: %s", ok ? "PASS" : "FAIL");
	print_params();
	printk(" old=%lu new=%lu int3=%lu stale=%lu wrong=%lu\n", old, new, int3, stale, wrong);
	machine_exit(ok ? EXIT_SUCCESS : EXIT_FAILED);
}
