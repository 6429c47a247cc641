/* SPDX-License-Identifier: MIT */
/*
 * protocol=: the ways to replace an instruction while other CPUs execute it, right ones and wrong ones. One file each in
 * protocols/, and the file is all it takes: its TEXT_POKE_PROTOCOL() puts it into the table in which the command line and
 * `emu matrix` look.
 *
 * CPU A patches and holds text_mutex; every other CPU, B, executes.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "kernel.h"
#include "params.h"
#include "smp.h"
#include "sync_core.h"
#include "text_poke.h"

struct text_poke_protocol {
	const char *name, *help;
	/* One of the two. By the first A replaces one instruction, by the second all those of one key, sorted by address. */
	void (*poke)(struct text_poke_loc *tp);
	void (*poke_batch)(struct text_poke_loc *vec, unsigned int nr);
	/* B has executed a breakpoint: resolves it and returns true, or knows nothing of it. None: poke_int3_handler(). */
	bool (*int3)(struct pt_regs *regs);
	/* B enters and leaves an NMI. None: nothing to do. */
	void (*nmi_enter)(void);
	void (*nmi_exit)(void);
	unsigned int flags;
};
#define POKE_NO_BREAKPOINT (1u << 0) /* it writes none, so nobody may run into one */
#define POKE_ALONE (1u << 1)         /* no other CPU executes the site */
#define POKE_QUADWORD (1u << 2)      /* refused where the instruction straddles an aligned quadword */

/*
 * The words lie together in a section of their own, "name\0help\0" by "name\0help\0", for who reads the image without
 * running it: from __start_protocol_words to __stop_protocol_words.
 */
#define TEXT_POKE_PROTOCOL(name_, help_, ...)                                                          \
	static const char protocol_words[] __attribute__((section("__protocol_words"), used, aligned(1))) = name_ "\0" help_; \
	static const struct text_poke_protocol this_protocol                                           \
		__attribute__((section("__protocols"), used, aligned(sizeof(long)))) =                   \
		{ .name = protocol_words, .help = protocol_words + sizeof(name_), __VA_ARGS__ }

extern const struct text_poke_protocol __start_protocols[], __stop_protocols[];

#endif
