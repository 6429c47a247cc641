/* SPDX-License-Identifier: MIT */
/*
 * Where every other CPU begins.
 *
 * In:   real mode, CS:IP = (vector << 8):0, everything else as INIT left it. smpboot.c has copied the bytes from
 *       trampoline_start to trampoline_end to TRAMPOLINE_BASE, which is below 1 MiB, on a page boundary, and mapped
 *       to itself; it has filled in the four variables at the end.
 * Out:  start_secondary(cpu), in the kernel's own mode and page tables, on that CPU's own stack.
 *       Which CPU it is, a ticket decides: the first to come is CPU 1. Whoever draws a number beyond `ap_limit`
 *       is not wanted (cpus=) or came too late, and sleeps with interrupts off for good.
 *
 * Nothing here may use a linked address of this code: it runs elsewhere.
 */
#include "asm.h"

#define REL(symbol) (symbol - trampoline_start)
#define AT(symbol) (TRAMPOLINE_BASE + REL(symbol))

	.section .init.data, "aw"
	.balign	16
	.code16
	.globl trampoline_start, trampoline_end
trampoline_start:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	REL(tr_gdt_ptr)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$__KERNEL32_CS, $AT(protected)

	.code32
protected:
	movl	$__KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	AT(tr_cr4), %eax
	movl	%eax, %cr4
	movl	AT(tr_cr3), %eax
	movl	%eax, %cr3
	movl	AT(tr_efer), %eax	/* zero where there is neither long mode nor NX: then there may be no EFER */
	testl	%eax, %eax
	jz	1f
	xorl	%edx, %edx
	movl	$0xc0000080, %ecx
	wrmsr
1:	movl	AT(tr_cr0), %eax
	movl	%eax, %cr0
	ljmpl	$__KERNEL_CS, $secondary_startup

	.balign	8
tr_gdt_ptr:
	.word	4 * 8 - 1
	.long	boot_gdt
	.balign	4
	.globl tr_cr0, tr_cr3, tr_cr4, tr_efer
tr_cr0:	.long	0
tr_cr3:	.long	0
tr_cr4:	.long	0
tr_efer: .long	0
trampoline_end:

	/* The rest is at its linked address. It is not init text: a CPU that nobody waits for any more may still come. */
	.text
#ifdef __x86_64__
	.code64
#endif
	.globl secondary_startup
	.type secondary_startup, @function
secondary_startup:
	movl	$1, %ecx
	lock xaddl %ecx, ap_ticket
	cmpl	ap_limit, %ecx
	jae	2f
	/* This CPU's stack: secondary_stacks[cpu]. */
	leal	1(%ecx), %eax
	imull	$THREAD_SIZE, %eax, %eax
	addl	$secondary_stacks, %eax
	movl	%eax, %esp
	xorl	%ebp, %ebp
#ifdef __x86_64__
	movl	%ecx, %edi
#else
	movl	%ecx, %eax
#endif
	call	start_secondary
	ud2
2:	cli
	hlt
	jmp	2b
	.size secondary_startup, . - secondary_startup

	.section .note.GNU-stack, "", @progbits
