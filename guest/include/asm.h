/* SPDX-License-Identifier: MIT */
/* Constants that C, assembly and the linker script share: nothing but #defines. */
#ifndef ASM_H
#define ASM_H

/* Selectors. GDT entries 1 and 2 differ in the L bit; the 32-bit kernel gives both the 32-bit descriptor. */
#define __KERNEL32_CS 0x08
#define __KERNEL_CS 0x10
#define __KERNEL_DS 0x18
#define __KERNEL_TSS 0x20 /* two slots in 64-bit mode */
#define __KERNEL_PERCPU 0x30
#define GDT_ENTRIES 8

/* Vectors: Linux's asm/irq_vectors.h, except SYNC_CORE, which Linux has no need of. */
#define FIRST_SYSTEM_VECTOR 0xf0
#define SYNC_CORE_VECTOR 0xf1
#define CALL_FUNCTION_SINGLE_VECTOR 0xfb
#define CALL_FUNCTION_VECTOR 0xfc
#define RESCHEDULE_VECTOR 0xfd
#define ERROR_APIC_VECTOR 0xfe
#define SPURIOUS_APIC_VECTOR 0xff

/* The start-up IPI's vector is this address shifted right by 12. */
#define TRAMPOLINE_BASE 0x8000

#define THREAD_SIZE 8192
#define IST_STACK_SIZE 4096

/* Linear addresses beyond the identity map of the first GiB. */
#define ALIAS_BASE 0x40000000   /* the standing, writable second mapping of kernel text */
#define POKING_ADDR 0x80000000  /* the momentary one, in poking_mm only */

#endif
