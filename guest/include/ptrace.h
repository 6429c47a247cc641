/* SPDX-License-Identifier: MIT */
/* What entry.S leaves on the stack: the two must agree. */
#ifndef PTRACE_H
#define PTRACE_H

#include "types.h"

struct pt_regs {
#ifdef __x86_64__
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
#else
	unsigned long bx, cx, dx, si, di, bp, ax;
#endif
	unsigned long vector; /* pushed by the stub */
	unsigned long error;  /* pushed by the CPU, or zero by the stub */
	unsigned long ip, cs, flags;
	/*
	 * 64-bit mode always pushes these two. 32-bit mode only does so when the privilege changes, which it never
	 * does here: there the interrupted stack pointer is the address of `sp`.
	 */
	unsigned long sp, ss;
};

static inline bool user_mode(const struct pt_regs *regs)
{
	return (regs->cs & 3) != 0;
}

static inline unsigned long kernel_stack_pointer(const struct pt_regs *regs)
{
#ifdef __x86_64__
	return regs->sp;
#else
	return (unsigned long)&regs->sp;
#endif
}

#endif
