/* SPDX-License-Identifier: MIT */
/* site=: which instruction is patched, and how to execute it. */
#ifndef SITES_H
#define SITES_H

#include "jump_label.h"

/* Comes back in two registers: RAX:RDX on 64 bits, EAX:EDX on 32 (-freg-struct-return). */
struct site_run {
	unsigned long target; /* 0 old (key disabled), 1 new (key enabled), anything else: neither */
	unsigned long seq;    /* *seq just before */
};
typedef struct site_run (*site_fn)(const u32 *seq);

#define SITE_MAX_RUNS 4

/* Where a site is executed. */
enum site_context {
	SITE_CALLED,       /* by calling runs[], one after the other */
	SITE_HANDLER,      /* in the tail of every IPI (arch/entry.S): by an IPI to oneself, if no other comes */
	SITE_HANDLER_LINE, /* the same, a second one */
	SITE_NMI,          /* runs[0], by the NMI handler: at an NMI to oneself, and those of poke_sends_nmi */
};

struct site {
	const char *name;
	const char *help;
	struct static_key *key;
	enum site_context context;
	site_fn runs[SITE_MAX_RUNS];
};

extern const struct site sites[];
extern const unsigned int nr_sites;
#define SITE_IS_INIT(site) ((site)->key == &init_key.key)

extern struct static_key_false init_key;
extern struct static_key_false two_nops_key;

struct site_run run_site_init(const u32 *seq); /* init text */

#endif
