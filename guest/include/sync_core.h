/* SPDX-License-Identifier: MIT */
/* Serialisation and ordering, as chosen on the command line. */
#ifndef SYNC_CORE_H
#define SYNC_CORE_H

#include "types.h"

/* What a CPU runs so that it executes no instruction byte that it fetched earlier. */
enum sync_kind {
	SYNC_NONE, SYNC_LFENCE, SYNC_MFENCE, SYNC_LFENCE_CPUID, SYNC_CPUID, SYNC_IRET, SYNC_SERIALIZE, SYNC_MOV_CR2,
};

/* What the patching CPU runs before an IPI and before the next write. */
enum fence_kind { FENCE_NONE, FENCE_SFENCE, FENCE_MFENCE, FENCE_MFENCE_LFENCE };

void sync_core(void);            /* sync= */
void do_sync_core(void *info);   /* the same, in an IPI's handler, whose end the patching CPU awaits */
void sync_core_deferred(void);   /* on the way out of it: what ack=before-sync has put off */
void poke_fence(void);           /* fence= */

/*
 * The 2009 mail's exchange: "send IPI", and wait until every CPU has answered. No locked operation and no data that
 * travels through memory: if the stores before it must be visible first, poke_fence() or the way of sending has to see
 * to it. (on_each_cpu() queues its work by a locked operation, and so orders them by itself.)
 */
void sync_core_on_each_cpu(void);
void sysvec_sync_core(void);

/* Checks sync= and fence= against CPUID. Returns what is missing, or NULL; says where it falls back. */
const char *sync_core_init(void);

#endif
