/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of the boot CPU.
 *
 * In:   32-bit protected mode, flat segments, paging and interrupts off, as the Multiboot Specification 1 says:
 *       EAX = 0x2badb002, EBX = physical address of the multiboot information.
 * Out:  start_kernel(EBX), on the boot stack. On 64 bits: in long mode, over page tables that map the first GiB to
 *       itself. On 32 bits paging is still off; pgtable.c turns it on.
 *
 * All of it is init text and is unmapped after boot, except the multiboot header, which is never executed.
 */
#include "asm.h"

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002
#define MULTIBOOT_FLAGS 0x3 /* modules on page boundaries; tell us the memory map */

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC
	.long MULTIBOOT_FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_FLAGS)

	.section .init.text, "ax"
	.code32
	.globl _start
	.type _start, @function
_start:
	cli
	cld
	cmpl	$MULTIBOOT_BOOTLOADER_MAGIC, %eax
	jne	not_multiboot
	movl	$boot_stack_top, %esp

#ifdef __x86_64__
	/* Is there a long mode to go to? */
	movl	%ebx, %edi
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	no_long_mode

	/* SDM Vol. 3A, "Initializing IA-32e Mode": PAE, CR3, EFER.LME, and then paging, which activates it. */
	movl	%cr4, %eax
	orl	$(1 << 5), %eax
	movl	%eax, %cr4
	movl	$early_pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$(1 << 8), %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0

	lgdt	boot_gdt_ptr
	ljmp	$__KERNEL_CS, $1f

	.code64
1:	movl	$__KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	/* GS base 0: until setup_per_cpu_areas() a per-CPU access reaches the template itself. */
	xorl	%edx, %edx
	movl	$0xc0000101, %ecx
	wrmsr
	movl	$boot_stack_top, %esp
	xorl	%ebp, %ebp
	movl	%edi, %edi
	call	start_kernel
	ud2
	.code32
#else
	lgdt	boot_gdt_ptr
	ljmp	$__KERNEL_CS, $1f
1:	movl	$__KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs	/* base 0: the per-CPU template, as above */
	xorl	%eax, %eax
	movl	%eax, %gs
	xorl	%ebp, %ebp
	movl	%ebx, %eax
	call	start_kernel
	ud2
#endif

not_multiboot:
	movl	$not_multiboot_text, %esi
	jmp	boot_error
#ifdef __x86_64__
no_long_mode:
	movl	$no_long_mode_text, %esi
#endif
	/* Prints the string at ESI without waiting for the UART, leaves through the exit port, or else stops. */
boot_error:
	movw	$0x3f8, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	movl	$0x12, %eax
	movw	$0xf4, %dx
	outl	%eax, %dx
3:	hlt
	jmp	3b
	.size _start, . - _start

	.section .init.data, "aw"
not_multiboot_text:
	.asciz	"result: PANIC not started by a multiboot 1 loader\r\n"
#ifdef __x86_64__
no_long_mode_text:
	.asciz	"result: PANIC this image needs a 64-bit CPU; boot emu32.elf\r\n"

	/* The first GiB, mapped to itself by 2 MiB pages: written by the assembler, so it costs no instruction. */
	.balign	4096
early_pml4:
	.quad	early_pdpt + 3
	.fill	511, 8, 0
early_pdpt:
	.quad	early_pd + 3
	.fill	511, 8, 0
early_pd:
	.set	frame, 0
	.rept	512
	.quad	frame + 0x83	/* present, writable, page size */
	.set	frame, frame + 0x200000
	.endr
#endif

	.section .rodata, "a"
	.balign	8
	.globl boot_gdt
boot_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* __KERNEL32_CS */
#ifdef __x86_64__
	.quad	0x00af9b000000ffff	/* __KERNEL_CS, long */
#else
	.quad	0x00cf9b000000ffff	/* __KERNEL_CS */
#endif
	.quad	0x00cf93000000ffff	/* __KERNEL_DS */
	.globl boot_gdt_ptr
boot_gdt_ptr:
	.word	. - boot_gdt - 1
	.long	boot_gdt

	.bss
	.balign	16
	.globl boot_stack
boot_stack:
	.skip	THREAD_SIZE
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
