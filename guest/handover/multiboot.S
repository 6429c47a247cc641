/* SPDX-License-Identifier: MIT */
/*
 * Entry by multiboot 1 and 2, in one image: EAX says which of them it was.
 * In: 32-bit protected mode, flat segments, paging off, EAX = magic, EBX = information.
 */
#include "handover.h"

#define MB1_MAGIC  0x1badb002
#define MB1_FLAGS  3			/* modules at pages, memory information */
#define MB1_LOADER 0x2badb002
#define MB2_MAGIC  0xe85250d6
#define MB2_LOADER 0x36d76289

	.section .head, "a"
	.balign 8
	.long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
	.balign 8
mb2_header:
	.long MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + (mb2_end - mb2_header))
	/* information request: command line, modules, memory map, RSDP */
	.short 1, 0
	.long 24, 1, 3, 6, 15
	.balign 8
	/* a display, if there is one: optional */
	.short 5, 1
	.long 20, 80, 25, 0
	.balign 8
	.short 0, 0
	.long 8
mb2_end:

	.text
	.globl _start
_start:
	cli
	cld
	movl $STACK_TOP, %esp
	movl %ebx, %edx
	cmpl $MB1_LOADER, %eax
	movl $PROTOCOL_MULTIBOOT1, %eax
	je handover_main
	movl $PROTOCOL_MULTIBOOT2, %eax
	jmp handover_main
