/* SPDX-License-Identifier: MIT */
/* The vocabulary: fixed-width types, compiler attributes, single accesses. */
#ifndef TYPES_H
#define TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int32_t s32;

#define NR_CPUS 64

#define __init __attribute__((section(".init.text"), __noinline__, __cold__))
#define __initdata __attribute__((section(".init.data")))
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((__noinline__))
#define __noipa __attribute__((__noipa__)) /* nor inlined, nor merged with an equal one, nor seen through */
#define __noreturn __attribute__((__noreturn__))
#define __printf(fmt, first) __attribute__((__format__(__printf__, fmt, first)))
#define __aligned(n) __attribute__((__aligned__(n)))
#define __packed __attribute__((__packed__))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Keeps the compiler, and only the compiler, from moving accesses across. */
#define barrier() __asm__ volatile("" ::: "memory")

/* One access, neither torn nor repeated nor dropped by the compiler. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/*
 * x86 is TSO: loads stay in order among themselves and so do stores, so only the compiler has to be told. Only a
 * load may pass an earlier store; any locked operation forbids that, on CPUs without MFENCE too.
 */
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#ifdef __x86_64__
#define smp_mb() __asm__ volatile("lock addl $0, -4(%%rsp)" ::: "memory", "cc")
#else
#define smp_mb() __asm__ volatile("lock addl $0, -4(%%esp)" ::: "memory", "cc")
#endif

#endif
