/* SPDX-License-Identifier: MIT */
/*
 * Entry by PVH: the address stands in an ELF note.
 * In: 32-bit protected mode, flat segments, paging off, EBX = struct hvm_start_info.
 */
#include "handover.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long _start

	.text
	.globl _start
_start:
	cli
	cld
	movl $STACK_TOP, %esp
	movl %ebx, %edx
	movl $PROTOCOL_PVH, %eax
	jmp handover_main
