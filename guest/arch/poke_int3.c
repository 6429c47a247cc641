// SPDX-License-Identifier: MIT
/*
 * What the protocols that write a breakpoint share: the descriptor in which the #BP handler looks, that handler, and their
 * steps, for many sites at a time. As in Linux 6.1.
 */
#include "text_poke.h"
#include "kernel.h"
#include "params.h"
#include "ptrace.h"
#include "smp.h"
#include "sync_core.h"

#define TP_VEC_MAX 16

static struct text_poke_loc tp_vec[TP_VEC_MAX];
static unsigned int tp_vec_nr;

/*
 * Which sites are being patched, for CPUs that run into a breakpoint. Static, and never freed: a CPU may look at it at
 * any time, and `refs` decides whether what it finds there means anything.
 */
static struct bp_patching_desc {
	struct text_poke_loc *vec;
	unsigned int nr_entries;
	_Atomic u32 refs; /* 1 for the patcher, 1 for each handler that is looking */
} bp_desc;

/* From now on the handler answers for these sites. */
void poke_publish(struct text_poke_loc *vec, unsigned int nr_entries)
{
	bp_desc.vec = vec;
	bp_desc.nr_entries = nr_entries;
	/* Ordering: whoever sees refs != 0 sees the vector; and the breakpoints are stored after it. */
	atomic_store_explicit(&bp_desc.refs, 1, memory_order_release);
	smp_wmb();
}

/* From now on it does not; and on return no handler is still reading the vector. */
void poke_retire(void)
{
	atomic_fetch_sub(&bp_desc.refs, 1);
	wait_until(atomic_load_explicit(&bp_desc.refs, memory_order_acquire) == 0, "bp_desc is still in use",
		   smp_processor_id());
}

static struct bp_patching_desc *try_get_desc(void)
{
	u32 refs = atomic_load_explicit(&bp_desc.refs, memory_order_relaxed);

	/* Not from zero: that would revive a vector that the patcher may already be filling anew. */
	do {
		if (refs == 0)
			return NULL;
	} while (!atomic_compare_exchange_weak(&bp_desc.refs, &refs, refs + 1));
	return &bp_desc;
}

static void put_desc(struct bp_patching_desc *desc)
{
	atomic_fetch_sub(&desc->refs, 1);
}

static const struct text_poke_loc *find_loc(const struct text_poke_loc *vec, unsigned int nr, unsigned long addr)
{
	while (nr > 0) {
		const struct text_poke_loc *middle = &vec[nr / 2];

		if (middle->addr == addr)
			return middle;
		if (middle->addr < addr) {
			vec = middle + 1;
			nr -= nr / 2 + 1;
		} else {
			nr /= 2;
		}
	}
	return NULL;
}

/* JMP8, JMP32, or a NOP, which is a jump by nothing. */
void poke_emulate(const struct text_poke_loc *tp, struct pt_regs *regs)
{
	regs->ip = tp->addr + tp->len + (unsigned long)(long)tp->disp;
}

/*
 * This CPU executed a breakpoint. If it is one of ours, do to the saved registers what the *new* instruction would do, so
 * that nobody has to wait here: with interrupts off this CPU does not answer the sync IPI, and the patcher, who waits for
 * that answer, could never take the breakpoint away.
 */
bool poke_int3_handler(struct pt_regs *regs)
{
	struct bp_patching_desc *desc;
	const struct text_poke_loc *tp;
	unsigned long addr = regs->ip - INT3_INSN_SIZE;
	bool handled = false;

	if (user_mode(regs))
		return false;

	/* Ordering: the breakpoint was visible to this CPU, so poke_publish(), which came before it, must be too. */
	smp_rmb();
	desc = try_get_desc();
	if (!desc)
		return false;

	tp = find_loc(desc->vec, desc->nr_entries, addr);
	if (!tp)
		goto out_put;

	poke_emulate(tp, regs);
	handled = true;
out_put:
	put_desc(desc);
	return handled;
}

void text_poke_loc_init(struct text_poke_loc *tp, unsigned long addr, const void *opcode, size_t len)
{
	static const u8 nop2[] = { BYTES_NOP2 }, nop5[] = { BYTES_NOP5 }, two_nops[] = { BYTES_TWO_NOPS };
	const u8 *byte = opcode;

	BUG_ON(len > POKE_MAX_OPCODE_SIZE);
	*tp = (struct text_poke_loc) { .addr = addr, .len = (u8)len };
	memcpy(tp->text, opcode, len);

	if (byte[0] == JMP8_INSN_OPCODE)
		tp->disp = (s8)byte[1];
	else if (byte[0] == JMP32_INSN_OPCODE)
		memcpy(&tp->disp, byte + 1, sizeof(tp->disp));
	else
		BUG_ON(len == JMP8_INSN_SIZE ? memcmp(byte, nop2, len) : memcmp(byte, nop5, len) && memcmp(byte, two_nops, len));
}

/* Linux: on_each_cpu(do_sync_core, NULL, 1). */
void text_poke_sync(void)
{
	poke_fence();
	smp_call_function(do_sync_core, NULL, true);
	sync_core();
}

void poke_breakpoints(const struct text_poke_loc *vec, unsigned int nr)
{
	const u8 int3 = INT3_INSN_OPCODE;

	for (; nr > 0; vec++, nr--)
		text_poke(vec->addr, &int3, INT3_INSN_SIZE);
}

void poke_tails(const struct text_poke_loc *vec, unsigned int nr)
{
	for (; nr > 0; vec++, nr--)
		text_poke(vec->addr + INT3_INSN_SIZE, vec->text + INT3_INSN_SIZE, vec->len - INT3_INSN_SIZE);
}

void poke_first_bytes(const struct text_poke_loc *vec, unsigned int nr)
{
	for (; nr > 0; vec++, nr--)
		text_poke(vec->addr, vec->text, INT3_INSN_SIZE);
}

/* Sorted as it grows: the handler's search relies on it. */
void text_poke_queue(unsigned long addr, const void *opcode, size_t len)
{
	unsigned int i;

	if (tp_vec_nr == TP_VEC_MAX)
		text_poke_finish();
	for (i = tp_vec_nr; i > 0 && tp_vec[i - 1].addr > addr; i--)
		tp_vec[i] = tp_vec[i - 1];
	text_poke_loc_init(&tp_vec[i], addr, opcode, len);
	tp_vec_nr++;
}

void text_poke_finish(void)
{
	if (tp_vec_nr == 0)
		return;
	text_poke_by_protocol(tp_vec, tp_vec_nr);
	tp_vec_nr = 0;
}
