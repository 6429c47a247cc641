/* SPDX-License-Identifier: MIT */
/* The command line, parsed. kernel/params.c has the words. */
#ifndef PARAMS_H
#define PARAMS_H

#include "sync_core.h"
#include "types.h"

enum ipi_kind { IPI_XAPIC, IPI_X2APIC };
enum ack_kind { ACK_AFTER_SYNC, ACK_BEFORE_SYNC };
enum poke_kind { POKE_ALIAS, POKE_ALIAS_MM, POKE_WP };
/* What a CPU does with a breakpoint that nobody knows when memory no longer holds it. */
enum int3_kind { INT3_RETRY, INT3_DIE };

struct text_poke_protocol;

struct params {
	const struct text_poke_protocol *protocol;
	enum sync_kind sync;
	enum fence_kind fence;
	enum ipi_kind ipi;
	enum ack_kind ack;
	enum poke_kind poke;
	enum int3_kind int3;
	const struct site *site;
	unsigned int rounds;
	unsigned int cpus;
	unsigned int explore; /* explore=: how often each CPU executes the site */
	unsigned int patches;
};
extern struct params params;
extern const char *const sync_names[];
extern const char *const fence_names[];

/* Parses; refuses with one line and exit code EXIT_FAILED what it does not know. */
void parse_params(const char *command_line);
/* " protocol=... sync=..." and so on: every choice, for the result line. */
void print_params(void);
/* One line, one exit code. */
void refuse(const char *fmt, ...) __printf(1, 2) __noreturn;

#endif
