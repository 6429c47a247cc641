/* SPDX-License-Identifier: MIT */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "protocol.h"
#include "sites.h"
#include "smp.h"

void workload_check_params(void); /* refuses combinations that make no sense */
void workload_init_text(void);    /* site=init: patch and run the init site while it exists */
void workload_run(void);          /* the experiment */
void workload_report(void) __noreturn;

/* Odd while a patch is going on; half of it is how many there were. The key is enabled exactly when that is odd. */
extern u32 patch_seq;
static inline bool key_enabled_at(u32 seq)
{
	return seq / 2 % 2;
}
/* Executes the site once, by an IPI or an NMI to oneself, where its context is a handler. */
void run_handler_site(void);
void run_nmi_site(void);
static inline bool site_is_in_handler(void)
{
	return params.site->context == SITE_HANDLER || params.site->context == SITE_HANDLER_LINE;
}
/* protocol=up, or nobody else there: this CPU executes what it patches. */
static inline bool executes_alone(void)
{
	return (params.protocol->flags & POKE_ALONE) || nr_cpus_online == 1;
}

/* From the NMI handler: executes the site there, if it is one of those. */
bool exc_nmi(void);

/* kernel/explore.c: explore= in place of all that. */
void explore_run(void);
void explore_report(void) __noreturn;
void explore_check(struct site_run run);

/*
 * Markers, for an explorer: every CPU calls explore_begin() when all is prepared, with interrupts on, and explore_end() when it
 * has done its part. An explorer takes its snapshot when every CPU stands at the first, and parks a CPU at the second
 * with interrupts open: it still serves IPIs there, and comes back. What follows the second is outside the experiment.
 */
void explore_begin(void);
void explore_end(void);

/*
 * Markers, for whoever watches from outside: called right before and right after the code of one key is patched,
 * on the patching CPU.
 */
void patch_begin(u32 round);
void patch_end(u32 round);

#endif
