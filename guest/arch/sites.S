/* SPDX-License-Identifier: MIT */
/*
 * The patched instructions, each at a chosen place.
 *
 * Every run_site_*(const unsigned *seq) returns struct site_run { target, seq }: which way the site sent it
 * (0 old, 1 new, 2 neither) and what *seq was just before. The load of *seq, a run-up of one-byte NOPs and the site
 * are straight-line code with nothing serialising in it: by the time the load executes, the front end may long have
 * fetched the site. That is the race which the kernel's stale count is about.
 */
#include "asm.h"

#ifdef __x86_64__
#define SEQ_POINTER %rdi
#else
#define SEQ_POINTER %eax
#endif

	.macro JUMP_ENTRY name, key, target, alternative=0
	.pushsection __jump_table, "aw"
	.balign	4
	.long	\name - .
	.long	\target - .
	.ifc	\alternative, 0
	.long	0
	.else
	.long	\alternative - .
	.endif
	.long	\key - .
	.popsection
	.endm

/*
 * Eight bytes, and NOPs. The branch is never taken, so for a CPU this is straight-line code; but a translator like QEMU's
 * ends a block here, and so cannot enter a block before the load that has an older site at its end.
 */
	.macro RUN_UP length
	movl	(SEQ_POINTER), %edx
	testl	%edx, %edx
	.byte	0x78, 0x00		/* js to the next instruction */
	xorl	%eax, %eax		/* old opcode and new tail make `nopl (%rax); add %al, (%rax)`: that faults */
	.fill	\length - 8, 1, 0x90
	.endm

	.section .sites.text, "ax"

/*
 * The mail's site, with the mail's bytes: eb e5 jumps to 27 bytes before its own end, eb f0 to 16.
 */
	.macro MAIL_SITE name, key
	.balign	64, 0xcc
	.fill	16, 1, 0xcc
jump_site_\name\()_old:
	xorl	%eax, %eax		/* eb e5 comes here */
	ret
	.fill	8, 1, 0xcc
jump_site_\name\()_new:
	.byte	0xeb, 3f - 1f		/* eb f0 comes here */
1:
	.globl run_site_\name
	.type run_site_\name, @function
run_site_\name:
	RUN_UP	12
	.globl jump_site_\name
jump_site_\name:
	.byte	0xeb, 0xe5
2:	.size	jump_site_\name, 2
	.if	(2b - jump_site_\name\()_old != 27) || (2b - jump_site_\name\()_new != 16)
	.error	"the targets are not the mail's"
	.endif
	.fill	6, 1, 0xcc
3:	movl	$1, %eax
	ret
	.size run_site_\name, . - run_site_\name
	JUMP_ENTRY jump_site_\name, \key, jump_site_\name\()_new, jump_site_\name\()_old
	.endm

/* A two-byte NOP that becomes a short jump. */
	.macro SHORT_NOP_SITE name, key
	.balign	64, 0xcc
	.globl run_site_\name
	.type run_site_\name, @function
run_site_\name:
	RUN_UP	16
	.globl jump_site_\name
jump_site_\name:
#ifdef __x86_64__
	.byte	0x66, 0x90
#else
	.byte	0x89, 0xf6		/* mov %esi, %esi */
#endif
	.size	jump_site_\name, 2
	xorl	%eax, %eax
	ret
	.fill	8, 1, 0xcc
jump_site_\name\()_new:
	movl	$1, %eax
	ret
	.size run_site_\name, . - run_site_\name
	JUMP_ENTRY jump_site_\name, \key, jump_site_\name\()_new
	.endm

/*
 * A five-byte NOP that becomes a five-byte jump, `offset` bytes after a multiple of `align`. A jump with some bytes of
 * its displacement from the NOP reaches neither target. It goes
 *	0x1f or 0x8d bytes on: to an instruction that reports "neither";
 *	0x4400 to 0x748d: the sites are the end of the text, and behind it nothing is mapped (guest.lds);
 *	0x260040 and more (32 bits): beyond _end, where nothing is mapped either.
 */
	.macro NOP5_SITE name, key, align, offset, two=0
	.balign	\align, 0xcc
	.fill	\offset - 16, 1, 0xcc
	.globl run_site_\name
	.type run_site_\name, @function
run_site_\name:
	RUN_UP	16
	.globl jump_site_\name
jump_site_\name:
#ifdef __x86_64__
	.if	\two
	.byte	0x0f, 0x1f, 0x00, 0x66, 0x90	/* nopl (%rax); xchg %ax, %ax */
	.else
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00	/* nopl 0(%rax,%rax,1) */
	.endif
#else
	.if	\two
	.byte	0x8d, 0x76, 0x00, 0x89, 0xf6	/* lea 0(%esi), %esi; mov %esi, %esi */
	.else
	.byte	0x3e, 0x8d, 0x74, 0x26, 0x00	/* lea %ds:0(%esi,%eiz,1), %esi */
	.endif
#endif
	.size	jump_site_\name, 5
1:	xorl	%eax, %eax
	ret
	.fill	0x1f - (. - 1b), 1, 0xcc
	movl	$2, %eax		/* e9 1f 00 00 00 */
	ret
	.fill	0x40 - (. - 1b), 1, 0xcc
jump_site_\name\()_new:
	movl	$1, %eax
	ret
#ifndef __x86_64__
	.fill	0x8d - (. - 1b), 1, 0xcc
	movl	$2, %eax		/* e9 8d 00 00 00 */
	ret
#endif
	.size run_site_\name, . - run_site_\name
	JUMP_ENTRY jump_site_\name, \key, jump_site_\name\()_new
	.endm

/*
 * A five-byte jump that becomes another, `offset` bytes after a multiple of `align`. Between 0x10 and 0x20 one byte of the
 * displacement changes; between 0x10 and 0x120 two, and with one of them old and one new it reports "neither".
 */
	.macro JUMP5_SITE name, key, align, offset, new
	.balign	\align, 0xcc
	.fill	\offset - 16, 1, 0xcc
	.globl run_site_\name
	.type run_site_\name, @function
run_site_\name:
	RUN_UP	16
	.globl jump_site_\name
jump_site_\name:
	.byte	0xe9
	.long	jump_site_\name\()_old - 1f
	.size	jump_site_\name, 5
1:	.fill	0x10, 1, 0xcc
jump_site_\name\()_old:		/* e9 10 00 00 00 */
	xorl	%eax, %eax
	ret
	.if	\new > 0x20
	.fill	0x20 - (. - 1b), 1, 0xcc
	movl	$2, %eax		/* e9 20 00 00 00 */
	ret
	.fill	0x110 - (. - 1b), 1, 0xcc
	movl	$2, %eax		/* e9 10 01 00 00 */
	ret
	.endif
	.fill	\new - (. - 1b), 1, 0xcc
jump_site_\name\()_new:		/* e9 20 00 00 00 or e9 20 01 00 00 */
	movl	$1, %eax
	ret
	.size run_site_\name, . - run_site_\name
	JUMP_ENTRY jump_site_\name, \key, jump_site_\name\()_new, jump_site_\name\()_old
	.endm

	MAIL_SITE	short, short_key
	SHORT_NOP_SITE	short_nop, short_nop_key
	NOP5_SITE	jmp5, jmp5_key, 64, 32	/* within one aligned quadword */
	NOP5_SITE	quad, quad_key, 64, 38	/* across two quadwords of one cache line */
	NOP5_SITE	granule, granule_key, 64, 46	/* across two 16-byte units of one cache line */
	NOP5_SITE	line, line_key, 64, 62	/* across two cache lines of one page */
	JUMP5_SITE	jump5, jump5_key, 64, 32, 0x20
	JUMP5_SITE	jump5_granule, jump5_granule_key, 64, 47, 0x20
	JUMP5_SITE	jump5_line, jump5_line_key, 64, 63, 0x20
	JUMP5_SITE	jump5_split, jump5_split_key, 64, 62, 0x120
	NOP5_SITE	nmi, nmi_key, 64, 32

/* One key, four sites: what text_poke_bp_batch is for. */
	SHORT_NOP_SITE	batch_short, batch_key
	NOP5_SITE	batch_jmp5, batch_key, 64, 32
	NOP5_SITE	batch_quad, batch_key, 64, 38
	NOP5_SITE	batch_line, batch_key, 64, 62

	NOP5_SITE	page, page_key, 4096, 4094	/* across two pages */

/* Five bytes of two instructions, as ftrace had them in 2008: a return address may lie between. */
	NOP5_SITE	two_nops, two_nops_key, 64, 32, 1

/* site=init: the same key owns a site that outlives boot and one that does not. */
	MAIL_SITE	init_core, init_key

	.section .init.text, "ax"
	MAIL_SITE	init, init_key

	.section .note.GNU-stack, "", @progbits
