/* SPDX-License-Identifier: MIT */
/*
 * Static keys: a branch whose condition is in the instruction, not in memory. Linux's interface.
 *
 *	DEFINE_STATIC_KEY_FALSE(key);
 *	if (static_branch_unlikely(&key))     a 5-byte NOP, and the body out of line
 *		...
 *	static_key_enable(&key.key);          the NOP becomes a jump, on all CPUs, while they run
 *
 * What the compiler emits depends on two bits: which way the key was born, and which way the branch is likely.
 *
 *	              likely      unlikely
 *	TRUE          NOP         jmp
 *	FALSE         jmp         NOP
 *
 * A jmp is as short as the assembler can make it: 2 bytes (eb) or 5 (e9). A NOP is always 5, since the distance is not
 * yet known when it is emitted; what starts as a 2-byte jump becomes a 2-byte NOP.
 */
#ifndef JUMP_LABEL_H
#define JUMP_LABEL_H

#include "text_poke.h"
#include "types.h"

struct jump_entry;

struct static_key {
	_Atomic int enabled;
	struct jump_entry *entries; /* the first of this key's; the table is sorted by key */
};
struct static_key_true { struct static_key key; };
struct static_key_false { struct static_key key; };

#define DEFINE_STATIC_KEY_TRUE(name) struct static_key_true name = { { 1, NULL } }
#define DEFINE_STATIC_KEY_FALSE(name) struct static_key_false name = { { 0, NULL } }

/* One patchable site. All are distances from the field itself, so the table does not depend on where it is linked. */
struct jump_entry {
	s32 code;
	s32 target;
	s32 alternative; /* where the jump goes while it is not to go to `target`; 0: it is a NOP then */
	s32 key;         /* low bits: JUMP_ENTRY_* */
};
#define JUMP_ENTRY_BRANCH 1u /* the branch is the likely way */
#define JUMP_ENTRY_INIT 2u   /* the code is init text */

enum jump_label_type { JUMP_LABEL_NOP = 0, JUMP_LABEL_JMP = 1 };

static inline unsigned long jump_entry_code(const struct jump_entry *entry)
{
	return (unsigned long)&entry->code + (unsigned long)(long)entry->code;
}

static inline unsigned long jump_entry_target(const struct jump_entry *entry)
{
	return (unsigned long)&entry->target + (unsigned long)(long)entry->target;
}

static inline unsigned long jump_entry_alternative(const struct jump_entry *entry)
{
	return (unsigned long)&entry->alternative + (unsigned long)(long)entry->alternative;
}

static inline struct static_key *jump_entry_key(const struct jump_entry *entry)
{
	return (struct static_key *)(((unsigned long)&entry->key + (unsigned long)(long)entry->key) & ~3ul);
}

static inline bool jump_entry_is_branch(const struct jump_entry *entry)
{
	return ((unsigned long)&entry->key + (unsigned long)(long)entry->key) & JUMP_ENTRY_BRANCH;
}

static inline bool jump_entry_is_init(const struct jump_entry *entry)
{
	return ((unsigned long)&entry->key + (unsigned long)(long)entry->key) & JUMP_ENTRY_INIT;
}

/* arch/jump_label.c */
void arch_jump_label_code(const struct jump_entry *entry, enum jump_label_type type, u8 *code);
unsigned int arch_jump_entry_size(const struct jump_entry *entry);
void arch_jump_label_transform(struct jump_entry *entry, enum jump_label_type type);
bool arch_jump_label_transform_queue(struct jump_entry *entry, enum jump_label_type type);
void arch_jump_label_transform_apply(void);

/* kernel/jump_label.c */
void jump_label_init(void);
/* What the site has to be while its key is disabled or enabled. */
enum jump_label_type jump_label_type(const struct jump_entry *entry, bool enabled);
bool jump_label_can_update(const struct jump_entry *entry);
void jump_label_test(void);
void static_key_enable(struct static_key *key);
void static_key_disable(struct static_key *key);
int static_key_count(const struct static_key *key);
extern unsigned long jump_label_skipped; /* sites left alone because they were in freed init text */
/* For site=init-unchecked: patch them all the same. */
extern bool jump_label_trust_init_text;

#define JUMP_TABLE_ENTRY                                                                               \
	".pushsection __jump_table, \"aw\"\n\t"                                                        \
	".balign 4\n\t"                                                                                \
	".long 1b - .\n\t"                                                                             \
	".long %l[l_yes] - .\n\t"                                                                      \
	".long 0\n\t"                                                                                  \
	".long %c0 + %c1 - .\n\t"                                                                      \
	".popsection"

#define STRINGIFY_(...) #__VA_ARGS__
#define STRINGIFY(...) STRINGIFY_(__VA_ARGS__)

static __always_inline bool arch_static_branch(struct static_key *const key, const bool branch)
{
	__asm__ goto("1: .byte " STRINGIFY(BYTES_NOP5) "\n\t" JUMP_TABLE_ENTRY
		     :: "i"(key), "i"(branch) :: l_yes);
	return false;
l_yes:
	return true;
}

static __always_inline bool arch_static_branch_jump(struct static_key *const key, const bool branch)
{
	__asm__ goto("1: jmp %l[l_yes]\n\t" JUMP_TABLE_ENTRY
		     :: "i"(key), "i"(branch) :: l_yes);
	return false;
l_yes:
	return true;
}

#define static_key_is_true_type(x) __builtin_types_compatible_p(__typeof__(*(x)), struct static_key_true)

#define static_branch_likely(x)                                                                        \
	likely(static_key_is_true_type(x) ? !arch_static_branch(&(x)->key, true)                       \
					  : !arch_static_branch_jump(&(x)->key, true))
#define static_branch_unlikely(x)                                                                      \
	unlikely(static_key_is_true_type(x) ? arch_static_branch_jump(&(x)->key, false)                \
					    : arch_static_branch(&(x)->key, false))

#define static_branch_enable(x) static_key_enable(&(x)->key)
#define static_branch_disable(x) static_key_disable(&(x)->key)

#endif
