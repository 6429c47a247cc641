// SPDX-License-Identifier: MIT
/*
 * protocol=: the ways to replace one instruction while other CPUs execute it. Right and wrong ones: that is the point.
 *
 * CPU A patches, CPU B executes. In every one of them A holds text_mutex, and `addr` is in the core text.
 * text-poke-bp has a file of its own, text_poke_bp.c.
 */
#include "cpu.h"
#include "kernel.h"
#include "params.h"
#include "smp.h"
#include "stop_machine.h"
#include "sync_core.h"
#include "text_poke.h"

struct patch {
	unsigned long addr;
	const u8 *opcode;
	size_t len;
};

/*
 * The mail's "buggy" scheme. 1. A writes what differs: of a jump that stays a jump, the operand.
 *
 * B may have fetched the old bytes before the write and reach the instruction after it; and of several bytes it may see
 * some old and some new.
 */
static void poke_direct(const struct patch *p)
{
	const u8 *now = (const u8 *)p->addr;
	size_t first = 0;

	while (first < p->len && now[first] == p->opcode[first])
		first++;
	text_poke(p->addr + first, p->opcode + first, p->len - first);
}

/*
 * The mail's "just using the breakpoint, without IPI".
 *
 * 1. cc over the first byte  2. the tail  3. the new first byte
 *
 * B may have fetched the old instruction before 1 and reach it after 3: it never saw the breakpoint.
 */
static void poke_int3(const struct patch *p)
{
	const u8 int3 = INT3_INSN_OPCODE;
	struct text_poke_loc tp;

	text_poke_loc_init(&tp, p->addr, p->opcode, p->len);
	poke_publish(&tp, 1);
	text_poke(p->addr, &int3, INT3_INSN_SIZE);
	text_poke(p->addr + INT3_INSN_SIZE, p->opcode + INT3_INSN_SIZE, p->len - INT3_INSN_SIZE);
	text_poke(p->addr, p->opcode, INT3_INSN_SIZE);
	poke_retire();
}

/*
 * The mail's breakpoint + IPI.
 *
 * CPU A                                            CPU B sees
 * 1. cc over the first byte                        eb e5 -> cc e5: the breakpoint appears
 * 2. fence; IPI; wait for all; fence               B serialises: no eb e5 in its pipeline any more
 * 3. the tail                                      cc e5 -> cc f0: the operand of a breakpoint is not used
 * 4. the new first byte                            cc f0 -> eb f0: the breakpoint disappears
 *
 * "The transition we guarantee that CPU B will never see without having a mfence executed between the old and the new
 * version is eb e5 -> eb f0." Harmless races: B may still hold the breakpoint after 4, and traps when it is long
 * gone: exc_int3() finds memory without it and executes the instruction again. One IPI is enough as long as 3 and 4
 * reach B's front end in order. Where an instruction spans two units of fetching, B may fetch the tail's unit
 * before 3 and the first byte's after 4, and text_poke_bp_batch() is what is needed.
 */
static void poke_int3_ipi(const struct patch *p)
{
	const u8 int3 = INT3_INSN_OPCODE;
	struct text_poke_loc tp;

	text_poke_loc_init(&tp, p->addr, p->opcode, p->len);
	poke_publish(&tp, 1);
	text_poke(p->addr, &int3, INT3_INSN_SIZE);
	poke_fence();
	sync_core_on_each_cpu();
	poke_fence();
	text_poke(p->addr + INT3_INSN_SIZE, p->opcode + INT3_INSN_SIZE, p->len - INT3_INSN_SIZE);
	text_poke(p->addr, p->opcode, INT3_INSN_SIZE);
	poke_retire();
}

/*
 * One aligned store of the quadword around the instruction.
 *
 * 1. A stores  2. fence; IPI; wait for all
 *
 * B executes the whole old instruction or the whole new one if fetching never tears an aligned quadword, which
 * AMD promises and Intel does not; from its sync on, the new one.
 */
static void poke_quadword(const struct patch *p)
{
	unsigned long quad = p->addr & ~7ul;
	u64 value;

	if (p->addr - quad + p->len > sizeof(value))
		panic("quadword: %lx straddles one", p->addr);
	memcpy(&value, (const void *)quad, sizeof(value));
	memcpy((u8 *)&value + (p->addr - quad), p->opcode, p->len);
	text_poke_quad(quad, value);
	poke_fence();
	sync_core_on_each_cpu();
}

/* Runs on A while every other CPU spins in multi_cpu_stop() with interrupts off. */
static int poke_stopped(void *data)
{
	const struct patch *p = data;

	text_poke(p->addr, p->opcode, p->len);
	return 0;
}

/*
 * stop_machine(), the text_poke_smp() of 2010: no CPU executes the site while it changes, so the order of the bytes does
 * not matter. Each CPU runs sync_core() before it goes on (kernel/stop_machine.c).
 */
static void poke_stop_machine(const struct patch *p)
{
	struct patch copy = *p;

	stop_machine(poke_stopped, &copy);
}

/*
 * One CPU executes, and it is the one that patches. Interrupts off, because a handler could execute the half-written
 * instruction; sync_core(), because a CPU's own stores to code want it (SDM Vol. 3A, "Handling Self- and
 * Cross-Modifying Code"), the more so if they went through an alias.
 */
static void poke_up(const struct patch *p)
{
	unsigned long flags = local_irq_save();

	text_poke(p->addr, p->opcode, p->len);
	sync_core();
	local_irq_restore(flags);
}

/* The same, before there is any other CPU, whatever the command line says. */
void text_poke_early(unsigned long addr, const void *opcode, size_t len)
{
	unsigned long flags = local_irq_save();

	text_poke(addr, opcode, len);
	write_cr2(0); /* serialises, on every CPU there is */
	local_irq_restore(flags);
}

void text_poke_by_protocol(unsigned long addr, const void *opcode, size_t len)
{
	const struct patch p = { addr, opcode, len };

	switch (params.protocol) {
	case PROTOCOL_DIRECT:
		poke_direct(&p);
		break;
	case PROTOCOL_INT3:
		poke_int3(&p);
		break;
	case PROTOCOL_INT3_IPI:
		poke_int3_ipi(&p);
		break;
	case PROTOCOL_TEXT_POKE_BP:
		text_poke_bp(addr, opcode, len);
		break;
	case PROTOCOL_STOP_MACHINE:
		poke_stop_machine(&p);
		break;
	case PROTOCOL_UP:
		poke_up(&p);
		break;
	case PROTOCOL_QUADWORD:
		poke_quadword(&p);
		break;
	}
}
