/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU variables, as in Linux: the linker gathers them in one section, which is the template; every CPU has a copy
 * and its segment base (GS on 64 bits, FS on 32) is the distance from the template to the copy.
 */
#ifndef PERCPU_H
#define PERCPU_H

#include "types.h"

#define DECLARE_PER_CPU(type, name) extern __attribute__((section(".data..percpu"))) __typeof__(type) name
#define DEFINE_PER_CPU(type, name) __attribute__((section(".data..percpu"))) __typeof__(type) name

#define PER_CPU_SIZE 8192 /* room for one copy; the linker script asserts that the template fits */

extern unsigned long __per_cpu_offset[NR_CPUS];

#define per_cpu(var, cpu) (*(__typeof__(&(var)))((unsigned long)&(var) + __per_cpu_offset[cpu]))

#ifdef __x86_64__
#define PERCPU_SEG "%%gs:"
#else
#define PERCPU_SEG "%%fs:"
#endif

/* Any scalar no wider than a register. Byte-sized ones need a byte register. */
#define this_cpu_read(var)                                                                             \
	({                                                                                             \
		__typeof__(var) v__;                                                                   \
		__asm__ volatile("mov " PERCPU_SEG "%1, %0" : "=q"(v__) : "m"(var));                   \
		v__;                                                                                   \
	})
#define this_cpu_write(var, val)                                                                       \
	do {                                                                                           \
		__typeof__(var) v__ = (val);                                                           \
		__asm__ volatile("mov %1, " PERCPU_SEG "%0" : "=m"(var) : "q"(v__));                   \
	} while (0)
/* One instruction, so no interrupt falls into it; no LOCK, since nobody else writes here. unsigned long only. */
#define this_cpu_inc(var)                                                                              \
	do {                                                                                           \
		_Static_assert(sizeof(var) == sizeof(long), "this_cpu_inc is for unsigned long");      \
		__asm__ volatile("add %1, " PERCPU_SEG "%0" : "+m"(var) : "r"(1l) : "cc");             \
	} while (0)

DECLARE_PER_CPU(unsigned long, this_cpu_off);
DECLARE_PER_CPU(unsigned int, cpu_number);

#define this_cpu_ptr(var) ((__typeof__(var))((unsigned long)(var) + this_cpu_read(this_cpu_off)))
#define smp_processor_id() this_cpu_read(cpu_number)

#endif
