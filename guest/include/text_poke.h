/* SPDX-License-Identifier: MIT */
/* Linux's asm/text-patching.h, near enough. */
#ifndef TEXT_POKE_H
#define TEXT_POKE_H

#include "percpu.h"
#include "spinlock.h"
#include "types.h"

#define INT3_INSN_SIZE 1
#define INT3_INSN_OPCODE 0xcc
#define JMP8_INSN_SIZE 2
#define JMP8_INSN_OPCODE 0xeb
#define JMP32_INSN_SIZE 5
#define JMP32_INSN_OPCODE 0xe9
#define POKE_MAX_OPCODE_SIZE 5

#ifdef __x86_64__
#define BYTES_NOP2 0x66, 0x90
#define BYTES_NOP5 0x0f, 0x1f, 0x44, 0x00, 0x00
#define BYTES_TWO_NOPS 0x0f, 0x1f, 0x00, 0x66, 0x90 /* five bytes as well, and a boundary in them */
#else /* as Linux on 32 bits, where not every CPU knows the long NOP */
#define BYTES_NOP2 0x89, 0xf6
#define BYTES_NOP5 0x3e, 0x8d, 0x74, 0x26, 0x00
#define BYTES_TWO_NOPS 0x8d, 0x76, 0x00, 0x89, 0xf6
#endif

struct text_poke_loc {
	unsigned long addr;
	s32 disp; /* what the #BP handler emulates: a jump by this much from the end of the instruction; a NOP by 0 */
	u8 len;
	u8 text[POKE_MAX_OPCODE_SIZE];
};

struct pt_regs;

/* One patcher at a time, for every function below except the handler. */
extern struct mutex text_mutex;

/* Set: this CPU sends an NMI to every other right before each of its writes. */
DECLARE_PER_CPU(bool, poke_sends_nmi);

/* Writes bytes of read-only text by way of poke=, first to last, one store each. */
void text_poke(unsigned long addr, const void *opcode, size_t len);
/* Writes them by a single store of the aligned quadword that they lie in, all of them. */
void text_poke_in_quad(unsigned long addr, const void *opcode, size_t len);

/* Replaces instructions by protocol=, sorted by address. */
void text_poke_by_protocol(struct text_poke_loc *vec, unsigned int nr);
/* Collects them, in any order; patches when the vector is full, and at the finish. */
void text_poke_queue(unsigned long addr, const void *opcode, size_t len);
void text_poke_finish(void);

/* As long as this CPU is alone. */
void text_poke_early(unsigned long addr, const void *opcode, size_t len);
void text_poke_loc_init(struct text_poke_loc *tp, unsigned long addr, const void *opcode, size_t len);

/* The #BP handler's part: does what the new instruction would do, if a published site is at the breakpoint. */
bool poke_int3_handler(struct pt_regs *regs);
void poke_emulate(const struct text_poke_loc *tp, struct pt_regs *regs);

/* For the protocols: the descriptor that poke_int3_handler() looks into; */
void poke_publish(struct text_poke_loc *vec, unsigned int nr_entries);
void poke_retire(void);
/* and their steps: cc over every first byte; every tail; every new first byte; a sync of all CPUs by Linux's way. */
void poke_breakpoints(const struct text_poke_loc *vec, unsigned int nr);
void poke_tails(const struct text_poke_loc *vec, unsigned int nr);
void poke_first_bytes(const struct text_poke_loc *vec, unsigned int nr);
void text_poke_sync(void);

#endif
