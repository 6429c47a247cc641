/* SPDX-License-Identifier: MIT */
/*
 * From a vector into C and back.
 *
 * In:   what the CPU pushed. Kernel mode is all there is, so no stack and no GS has to be switched.
 * Out:  IRET, with all registers restored, and RIP and flags as the handler left them in pt_regs.
 *
 * idt_stubs is 256 stubs of 16 bytes each; idt.c points the gates there. IRET is the architecture's only promise of
 * serialisation in here: neither SDM nor APM says that the delivery of an interrupt serialises.
 */
#include "asm.h"

#ifdef __x86_64__
#define NOP5 0x0f, 0x1f, 0x44, 0x00, 0x00
	.macro PUSH_REGS
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	.endm
	.macro POP_REGS_AND_IRET
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$16, %rsp	/* vector and error code */
	iretq
	.endm
#else
#define NOP5 0x3e, 0x8d, 0x74, 0x26, 0x00
	.macro PUSH_REGS
	pushl	%eax
	pushl	%ebp
	pushl	%edi
	pushl	%esi
	pushl	%edx
	pushl	%ecx
	pushl	%ebx
	cld
	movl	%esp, %eax
	.endm
	.macro POP_REGS_AND_IRET
	popl	%ebx
	popl	%ecx
	popl	%edx
	popl	%esi
	popl	%edi
	popl	%ebp
	popl	%eax
	addl	$8, %esp
	iretl
	.endm
#endif

	.text
	.balign	16
	.globl idt_stubs
	.type idt_stubs, @function
idt_stubs:
	.set	vector, 0
	.rept	256
	.balign	16, 0xcc
	/* SDM Vol. 3A, "Error Code": these vectors push one, all others get a zero, so that pt_regs has one shape. */
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push	$0
	.endif
	push	$vector
	.if	vector >= FIRST_SYSTEM_VECTOR
	jmp	asm_common_interrupt
	.else
	jmp	asm_common_exception
	.endif
	.set	vector, vector + 1
	.endr
	.balign	16, 0xcc
	.size idt_stubs, . - idt_stubs

	.type asm_common_exception, @function
asm_common_exception:
	PUSH_REGS
	call	exc_common
	POP_REGS_AND_IRET
	.size asm_common_exception, . - asm_common_exception

/*
 * Every IPI. After its C part (which for a sync IPI has run sync_core() and said so, or the other way round: ack=)
 * there are patchable sites in the tail, between that and the IRET, as trace_call_function_exit() is in Linux. Straight
 * down from the call: the front end may have fetched them at any time. site=handler patches the first, handler-line the
 * second, which lies across two cache lines as NOP5_SITE's do (sites.S). The NOPs stand for what Linux does there
 * (irq_exit()), and give the patching CPU time to be done before this one reaches the site.
 */
	.section .sites.text, "ax"
	.type asm_common_interrupt, @function
asm_common_interrupt:
	PUSH_REGS
	call	sysvec_common
	.fill	32, 1, 0x90
#ifdef __x86_64__
	movl	patch_seq(%rip), %esi
#else
	movl	patch_seq, %edx
#endif
	.globl jump_site_handler, jump_site_handler_old, jump_site_handler_new
	.balign	8, 0x90		/* so that protocol=quadword can have it */
jump_site_handler:
	.byte	0xeb, jump_site_handler_old - 1f
	.size	jump_site_handler, 2
1:	.fill	6, 1, 0xcc
jump_site_handler_old:
	xorl	%eax, %eax
	jmp	2f
	.fill	6, 1, 0xcc
jump_site_handler_new:
	movl	$1, %eax
2:
#ifdef __x86_64__
	movl	%eax, %edi
#else
	movl	%eax, %ebx
#endif
	.balign	64
	.nops	60
	xorl	%eax, %eax
	.globl jump_site_handler_line, jump_site_handler_line_new
jump_site_handler_line:
	.byte	NOP5
	.size	jump_site_handler_line, 5
3:	xorl	%ecx, %ecx
	jmp	4f
	.fill	0x1f - (. - 3b), 1, 0xcc
	movl	$2, %ecx
	jmp	4f
	.fill	0x40 - (. - 3b), 1, 0xcc
jump_site_handler_line_new:
	movl	$1, %ecx
	jmp	4f
	.fill	0x8d - (. - 3b), 1, 0xcc
	movl	$2, %ecx
4:
#ifdef __x86_64__
	movl	%ecx, %edx
#else
	movl	%ebx, %eax		/* the second argument is in EDX still, the third in ECX */
#endif
	call	account_handler_tail
	POP_REGS_AND_IRET
	.size asm_common_interrupt, . - asm_common_interrupt

	.pushsection __jump_table, "aw"
	.balign	4
	.long	jump_site_handler - .
	.long	jump_site_handler_new - .
	.long	jump_site_handler_old - .
	.long	handler_key - .
	.long	jump_site_handler_line - .
	.long	jump_site_handler_line_new - .
	.long	0
	.long	handler_line_key - .
	.popsection

	.section .note.GNU-stack, "", @progbits
