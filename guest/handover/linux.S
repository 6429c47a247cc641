/* SPDX-License-Identifier: MIT */
/*
 * A bzImage (Linux, Documentation/arch/x86/boot.rst): a setup header, three entries, and one way to handover_main.
 *   16-bit, setup + 0x200:  DS = the setup segment, CS = that + 0x20; for loaders that run the real-mode part; it makes a zero page and goes to the 32-bit entry
 *   32-bit, load address:   ESI = zero page
 *   64-bit, load + 0x200:   RSI = zero page
 */
#include "handover.h"

#define ZERO_PAGE 0x7000
#define LOADED_HIGH 1
#define XLF_KERNEL_64 1
#define PE 1
#define PG 0x80000000

	.section .setup, "ax"
	.code16
setup:
	.org 0x1f1
	.byte 1				/* setup_sects */
	.short 0
	.long payload_paragraphs
	.short 0, 0xffff, 0, 0xaa55
	jmp real_mode			/* 0x200: two bytes, of which the second tells how long the header is */
	.ascii "HdrS"
	.short 0x020f			/* protocol 2.15 */
	.long 0
	.short 0x1000, 0
	.byte 0, LOADED_HIGH
	.short 0
	.long LOAD_ADDRESS, 0, 0, 0	/* code32_start, ramdisk_image, ramdisk_size, bootsect_kludge */
	.short 0x8000			/* heap_end_ptr */
	.byte 0, 0
	.long 0, 0x7fffffff, 0x100000	/* cmd_line_ptr, initrd_addr_max, kernel_alignment */
	.byte 0, 20			/* relocatable_kernel, min_alignment */
	.short XLF_KERNEL_64
	.long 2047, 0			/* cmdline_size, hardware_subarch */
	.quad 0
	.long 0, 0			/* payload_offset, payload_length */
	.quad 0, LOAD_ADDRESS		/* setup_data, pref_address */
	.long STACK_TOP - LOAD_ADDRESS, 0, 0
header_end:

real_mode:
	cli
	cld
	xorw %ax, %ax
	movw %ax, %es
	/* A zero page with the header, and the memory map that the BIOS tells. */
	movw $ZERO_PAGE, %di
	movw $0x400, %cx
	rep stosl
	movw $0x1f1, %si
	movw $(ZERO_PAGE + 0x1f1), %di
	movw $(header_end - setup - 0x1f1), %cx
	rep movsb
	movw $(ZERO_PAGE + 0x2d0), %di
	xorl %ebx, %ebx
1:	movl $0xe820, %eax
	movl $0x534d4150, %edx
	movl $20, %ecx
	int $0x15
	jc 2f
	addw $20, %di
	incb %es:(ZERO_PAGE + 0x1e8)
	testl %ebx, %ebx
	jnz 1b
2:	movl $ZERO_PAGE, %esi
	movw %ds, %ax
	movzwl %ax, %eax
	shll $4, %eax
	addl %eax, gdt_pointer + 2
	lgdtl gdt_pointer
	movl %cr0, %eax
	orb $PE, %al
	movl %eax, %cr0
	movw $0x18, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	ljmpl $0x10, $LOAD_ADDRESS

	.balign 8
gdt:
	.quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.short 31
	.long gdt - setup
	.org 0x400

	.section .head, "ax"
	.code32
payload:
	cli
	cld
	movl $STACK_TOP, %esp
	movl %esi, %edx
	movl $PROTOCOL_LINUX32, %eax
	jmp handover_main

	.org 0x200
	.code64
	cli
	cld
	movl $STACK_TOP, %esp
	movl %esi, %edx
	/* From the 64-bit entry down to 32 bits: a code segment of 32 bits by LRET, then paging and long mode off. */
	leaq gdt32_pointer(%rip), %rax
	lgdt (%rax)
	leaq compatibility(%rip), %rax
	pushq $0x10
	pushq %rax
	lretq

	.code32
compatibility:
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr0, %eax
	andl $~PG, %eax
	movl %eax, %cr0
	movl $0xc0000080, %ecx
	movl %edx, %ebx
	xorl %eax, %eax
	xorl %edx, %edx
	wrmsr
	movl %ebx, %edx
	movl $PROTOCOL_LINUX64, %eax
	jmp handover_main

	.balign 8
gdt32:
	.quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt32_pointer:
	.short 31
	.long gdt32, 0
