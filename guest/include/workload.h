/* SPDX-License-Identifier: MIT */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "types.h"

void workload_check_params(void); /* refuses combinations that make no sense */
void workload_init_text(void);    /* site=init: patch and run the init site while it exists */
void workload_run(void);          /* the experiment */
void workload_report(void) __noreturn;

/*
 * Markers, for whoever watches from outside: called right before and right after the code of one key is patched,
 * on the patching CPU.
 */
void patch_begin(u32 round);
void patch_end(u32 round);

#endif
