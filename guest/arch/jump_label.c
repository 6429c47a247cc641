// SPDX-License-Identifier: MIT
/* What the bytes of a static key's site are, and have to become. */
#include "jump_label.h"
#include "kernel.h"
#include "protocol.h"
#include "sites.h"
#include "text_poke.h"

static const u8 nop2[] = { BYTES_NOP2 }, nop5[] = { BYTES_NOP5 }, two_nops[] = { BYTES_TWO_NOPS };

struct jump_label_patch {
	u8 code[POKE_MAX_OPCODE_SIZE];
	unsigned int size;
};

static const u8 *nop_of(const struct jump_entry *entry, unsigned int size)
{
	if (size == JMP8_INSN_SIZE)
		return nop2;
	return jump_entry_key(entry) == &two_nops_key.key ? two_nops : nop5;
}

/* Whatever it is at the moment, it keeps its size. */
unsigned int arch_jump_entry_size(const struct jump_entry *entry)
{
	const u8 *code = (const u8 *)jump_entry_code(entry);

	if (code[0] == JMP8_INSN_OPCODE || memcmp(code, nop2, sizeof(nop2)) == 0)
		return JMP8_INSN_SIZE;
	BUG_ON(code[0] != JMP32_INSN_OPCODE && memcmp(code, nop_of(entry, JMP32_INSN_SIZE), JMP32_INSN_SIZE));
	return JMP32_INSN_SIZE;
}

static void jump_to(struct jump_label_patch *p, unsigned long from, unsigned long to)
{
	s32 disp = (s32)(to - (from + p->size));

	if (p->size == JMP8_INSN_SIZE) {
		BUG_ON(disp != (s8)disp);
		p->code[0] = JMP8_INSN_OPCODE;
		p->code[1] = (u8)disp;
	} else {
		p->code[0] = JMP32_INSN_OPCODE;
		memcpy(&p->code[1], &disp, sizeof(disp));
	}
}

static void make_code(const struct jump_entry *entry, enum jump_label_type type, struct jump_label_patch *p)
{
	unsigned long from = jump_entry_code(entry);

	if (type == JUMP_LABEL_JMP)
		jump_to(p, from, jump_entry_target(entry));
	else if (entry->alternative)
		jump_to(p, from, jump_entry_alternative(entry));
	else
		memcpy(p->code, nop_of(entry, p->size), p->size);
}

void arch_jump_label_code(const struct jump_entry *entry, enum jump_label_type type, u8 *code)
{
	struct jump_label_patch p = { .size = arch_jump_entry_size(entry) };

	make_code(entry, type, &p);
	memcpy(code, p.code, p.size);
}

/* Linux's __jump_label_patch(): what is there must be what we think it is, or something else is badly wrong. */
static void __jump_label_patch(const struct jump_entry *entry, enum jump_label_type type, struct jump_label_patch *p)
{
	struct jump_label_patch expect;
	const u8 *code = (const u8 *)jump_entry_code(entry);

	p->size = expect.size = arch_jump_entry_size(entry);
	make_code(entry, type, p);
	make_code(entry, !type, &expect);
	if (memcmp(code, expect.code, expect.size))
		panic("jump_label: unexpected op at %p: %02x %02x, expected %02x %02x",
		      (const void *)code, code[0], code[1], expect.code[0], expect.code[1]);
}

static void patch_site(unsigned long addr, const struct jump_label_patch *p)
{
	struct text_poke_loc tp;

	text_poke_loc_init(&tp, addr, p->code, p->size);
	text_poke_by_protocol(&tp, 1);
}

void arch_jump_label_transform(struct jump_entry *entry, enum jump_label_type type)
{
	struct jump_label_patch p;

	mutex_lock(&text_mutex);
	__jump_label_patch(entry, type, &p);
	if (system_state == SYSTEM_BOOTING)
		text_poke_early(jump_entry_code(entry), p.code, p.size);
	else
		patch_site(jump_entry_code(entry), &p);
	mutex_unlock(&text_mutex);
}

bool arch_jump_label_transform_queue(struct jump_entry *entry, enum jump_label_type type)
{
	struct jump_label_patch p;

	/* A protocol without batches patches site by site, each as soon as it is asked to. */
	if (!params.protocol->poke_batch || system_state == SYSTEM_BOOTING)
		return false;
	mutex_lock(&text_mutex);
	__jump_label_patch(entry, type, &p);
	text_poke_queue(jump_entry_code(entry), p.code, p.size);
	mutex_unlock(&text_mutex);
	return true;
}

void arch_jump_label_transform_apply(void)
{
	mutex_lock(&text_mutex);
	text_poke_finish();
	mutex_unlock(&text_mutex);
}
