/* SPDX-License-Identifier: MIT */
/*
 * A ROM of 64 KiB: from the reset vector to 32-bit code in RAM.
 * In: real mode, F000:FFF0 with CS based at 0xFFFF0000, nothing set up.
 */
#include "handover.h"

	.section .rom, "ax"
	.code16
rom:
	cli
	cld
	/* Still executing below 4 GiB: CS has the base that reset gave it. */
	lgdtl %cs:gdt_pointer - rom
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $0x10, $(0xffff0000 + (protected - rom))

	.code32
protected:
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $STACK_TOP, %esp
	/* The program was linked to run in RAM. */
	movl $(0xffff0000 + 0x1000), %esi
	movl $LOAD_ADDRESS, %edi
	movl $payload_dwords, %ecx
	rep movsl
	movl $PROTOCOL_ROM, %eax
	xorl %edx, %edx
	movl $handover_main, %ebx
	jmp *%ebx

	.balign 8
gdt:
	.quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.short 31
	.long 0xffff0000 + (gdt - rom)

	.section .reset, "ax"
	.code16
	/* F000:FFF0; a near jump keeps CS. */
	.byte 0xe9
	.short rom - (0xfff0 + 3)
	.org 0x10
