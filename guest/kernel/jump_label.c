// SPDX-License-Identifier: MIT
/* Static keys: which sites belong to a key, and which of them may be patched. */
#include "jump_label.h"
#include "kernel.h"
#include "spinlock.h"

extern struct jump_entry __start___jump_table[], __stop___jump_table[];

static DEFINE_MUTEX(jump_label_mutex);
unsigned long jump_label_skipped;
bool jump_label_trust_init_text;

static int jump_label_cmp(const struct jump_entry *a, const struct jump_entry *b)
{
	unsigned long key_a = (unsigned long)jump_entry_key(a), key_b = (unsigned long)jump_entry_key(b);

	if (key_a != key_b)
		return key_a < key_b ? -1 : 1;
	if (jump_entry_code(a) != jump_entry_code(b))
		return jump_entry_code(a) < jump_entry_code(b) ? -1 : 1;
	return 0;
}

/* Entries hold distances from where they are, so moving one means adjusting it. */
static void jump_label_swap(struct jump_entry *a, struct jump_entry *b)
{
	s32 delta = (s32)((long)a - (long)b);
	struct jump_entry tmp = *a;

	a->code = b->code - delta;
	a->target = b->target - delta;
	a->alternative = b->alternative ? b->alternative - delta : 0;
	a->key = b->key - delta;
	b->code = tmp.code + delta;
	b->target = tmp.target + delta;
	b->alternative = tmp.alternative ? tmp.alternative + delta : 0;
	b->key = tmp.key + delta;
}

void __init jump_label_init(void)
{
	struct jump_entry *start = __start___jump_table, *stop = __stop___jump_table, *iter, *place;
	struct static_key *key = NULL;

	for (iter = start; iter < stop; iter++)
		for (place = iter; place > start && jump_label_cmp(place - 1, place) > 0; place--)
			jump_label_swap(place - 1, place);

	for (iter = start; iter < stop; iter++) {
		if (init_kernel_text(jump_entry_code(iter)))
			iter->key |= JUMP_ENTRY_INIT;
		if (jump_entry_key(iter) == key)
			continue;
		key = jump_entry_key(iter);
		key->entries = iter;
	}
}

enum jump_label_type jump_label_type(const struct jump_entry *entry, bool enabled)
{
	return enabled ^ jump_entry_is_branch(entry) ? JUMP_LABEL_JMP : JUMP_LABEL_NOP;
}

/*
 * The subject of "[PATCH 1/4] jump label - make init_kernel_text() global": init text is freed after boot, and whoever
 * owns that memory by then does not want a jump written into it.
 */
bool jump_label_can_update(const struct jump_entry *entry)
{
	unsigned long code = jump_entry_code(entry);

	if (jump_entry_is_init(entry) && system_state >= SYSTEM_FREEING_INITMEM && !jump_label_trust_init_text) {
		jump_label_skipped++;
		return false;
	}
	if (!kernel_text_address(code) && !jump_label_trust_init_text)
		panic("jump_label: can't patch %p: no kernel text", (void *)code);
	return true;
}

static void jump_label_update(struct static_key *key)
{
	struct jump_entry *entry, *stop = __stop___jump_table;
	bool enabled = static_key_count(key) > 0;

	for (entry = key->entries; entry && entry < stop && jump_entry_key(entry) == key; entry++) {
		enum jump_label_type type = jump_label_type(entry, enabled);

		if (!jump_label_can_update(entry))
			continue;
		if (!arch_jump_label_transform_queue(entry, type))
			arch_jump_label_transform(entry, type);
	}
	arch_jump_label_transform_apply();
}

int static_key_count(const struct static_key *key)
{
	return atomic_load_explicit(&key->enabled, memory_order_relaxed);
}

static void static_key_set(struct static_key *key, int enabled)
{
	mutex_lock(&jump_label_mutex);
	if (static_key_count(key) != enabled) {
		atomic_store_explicit(&key->enabled, enabled, memory_order_relaxed);
		jump_label_update(key);
	}
	mutex_unlock(&jump_label_mutex);
}

/* On return every CPU takes the new way, if the protocol keeps what it promises. */
void static_key_enable(struct static_key *key)
{
	static_key_set(key, 1);
}

void static_key_disable(struct static_key *key)
{
	static_key_set(key, 0);
}
