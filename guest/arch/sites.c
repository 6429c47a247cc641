// SPDX-License-Identifier: MIT
/* The table of sites. The ones whose place matters are in sites.S, those in the IPI handler's tail in entry.S. */
#include "sites.h"
#include "kernel.h"

DEFINE_STATIC_KEY_FALSE(short_key);
DEFINE_STATIC_KEY_FALSE(short_nop_key);
DEFINE_STATIC_KEY_FALSE(jmp5_key);
DEFINE_STATIC_KEY_FALSE(quad_key);
DEFINE_STATIC_KEY_FALSE(granule_key);
DEFINE_STATIC_KEY_FALSE(line_key);
DEFINE_STATIC_KEY_FALSE(page_key);
DEFINE_STATIC_KEY_FALSE(jump5_key);
DEFINE_STATIC_KEY_FALSE(jump5_granule_key);
DEFINE_STATIC_KEY_FALSE(jump5_line_key);
DEFINE_STATIC_KEY_FALSE(jump5_split_key);
DEFINE_STATIC_KEY_FALSE(batch_key);
DEFINE_STATIC_KEY_FALSE(handler_key);
DEFINE_STATIC_KEY_FALSE(handler_line_key);
DEFINE_STATIC_KEY_FALSE(nmi_key);
DEFINE_STATIC_KEY_FALSE(init_key);
DEFINE_STATIC_KEY_FALSE(two_nops_key);
static DEFINE_STATIC_KEY_FALSE(likely_key);
static DEFINE_STATIC_KEY_FALSE(unlikely_key);

struct site_run run_site_short(const u32 *seq);
struct site_run run_site_short_nop(const u32 *seq);
struct site_run run_site_jmp5(const u32 *seq);
struct site_run run_site_quad(const u32 *seq);
struct site_run run_site_granule(const u32 *seq);
struct site_run run_site_line(const u32 *seq);
struct site_run run_site_jump5(const u32 *seq);
struct site_run run_site_jump5_granule(const u32 *seq);
struct site_run run_site_jump5_line(const u32 *seq);
struct site_run run_site_jump5_split(const u32 *seq);
struct site_run run_site_nmi(const u32 *seq);
struct site_run run_site_page(const u32 *seq);
struct site_run run_site_batch_short(const u32 *seq);
struct site_run run_site_batch_jmp5(const u32 *seq);
struct site_run run_site_batch_quad(const u32 *seq);
struct site_run run_site_batch_line(const u32 *seq);
struct site_run run_site_init_core(const u32 *seq);
struct site_run run_site_two_nops(const u32 *seq);

/* Static branches in C, where the compiler put them: a jump that becomes a NOP ... */
static noinline struct site_run run_site_likely(const u32 *seq)
{
	struct site_run run = { 0, READ_ONCE(*seq) };

	if (static_branch_likely(&likely_key))
		run.target = 1;
	return run;
}

/* ... and a NOP that becomes a jump. */
static noinline struct site_run run_site_unlikely(const u32 *seq)
{
	struct site_run run = { 0, READ_ONCE(*seq) };

	if (static_branch_unlikely(&unlikely_key))
		run.target = 1;
	return run;
}

const struct site sites[] = {
	{ "short", "the mail's eb e5 <-> eb f0", &short_key.key, SITE_CALLED, { run_site_short } },
	{ "short-nop", "2-byte NOP <-> 2-byte jump", &short_nop_key.key, SITE_CALLED, { run_site_short_nop } },
	{ "jmp5", "5-byte NOP <-> 5-byte jump, within an aligned quadword", &jmp5_key.key, SITE_CALLED, { run_site_jmp5 } },
	{ "quad", "the same, across two quadwords", &quad_key.key, SITE_CALLED, { run_site_quad } },
	{ "granule", "the same, across two 16-byte units of a line", &granule_key.key, SITE_CALLED, { run_site_granule } },
	{ "line", "the same, across two cache lines", &line_key.key, SITE_CALLED, { run_site_line } },
	{ "page", "the same, across two pages", &page_key.key, SITE_CALLED, { run_site_page } },
	{ "jump5", "5-byte jump <-> 5-byte jump, within an aligned quadword", &jump5_key.key, SITE_CALLED, { run_site_jump5 } },
	{ "jump5-granule", "the same, opcode | displacement in two 16-byte units", &jump5_granule_key.key, SITE_CALLED,
	  { run_site_jump5_granule } },
	{ "jump5-line", "the same, opcode | displacement in two cache lines", &jump5_line_key.key, SITE_CALLED,
	  { run_site_jump5_line } },
	{ "jump5-split", "the same, the line ends between two bytes, and both change", &jump5_split_key.key, SITE_CALLED,
	  { run_site_jump5_split } },
	{ "handler", "short jump in the IPI handler's own tail", &handler_key.key, SITE_HANDLER, { NULL } },
	{ "handler-line", "5-byte NOP <-> 5-byte jump there, across two cache lines", &handler_line_key.key, SITE_HANDLER_LINE,
	  { NULL } },
	{ "nmi", "5-byte NOP <-> 5-byte jump, executed by the NMI handler", &nmi_key.key, SITE_NMI, { run_site_nmi } },
	{ "likely", "static_branch_likely() in C", &likely_key.key, SITE_CALLED, { run_site_likely } },
	{ "unlikely", "static_branch_unlikely() in C", &unlikely_key.key, SITE_CALLED, { run_site_unlikely } },
	{ "batch", "four sites of one key", &batch_key.key, SITE_CALLED,
	  { run_site_batch_short, run_site_batch_jmp5, run_site_batch_quad, run_site_batch_line } },
	{ "init", "two sites of one key, one in freed init text: skipped", &init_key.key, SITE_CALLED, { run_site_init_core } },
	{ "two-nops", "two NOPs <-> 5-byte jump: a CPU that is interrupted between them comes back inside of it", &two_nops_key.key, SITE_CALLED,
	  { run_site_two_nops } },
	{ "init-unchecked", "the same, patched all the same: it must panic", &init_key.key, SITE_CALLED, { run_site_init_core } },
};
const unsigned int nr_sites = ARRAY_SIZE(sites);
