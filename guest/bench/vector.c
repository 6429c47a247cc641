/*
 * Kernels on XMM registers. This file alone is compiled with SSE2; no other one touches these registers, and no interrupt comes while a
 * kernel here runs.
 */
#include "bench.h"

#define NOINLINE __attribute__((noipa))
#define CR0_EM_TS 0xcul
#define CR4_OSFXSR_OSXMMEXCPT 0x600ul

typedef u8 bytes16 __attribute__((vector_size(16)));
typedef char chars16 __attribute__((vector_size(16)));
typedef short words8 __attribute__((vector_size(16)));
typedef int ints4 __attribute__((vector_size(16)));
typedef u32 doublewords4 __attribute__((vector_size(16)));
typedef u64 quadwords2 __attribute__((vector_size(16)));

static void enable(void)
{
	u64 cr;

	asm volatile("movq %%cr0, %0; andq %1, %0; movq %0, %%cr0" : "=&r"(cr) : "er"(~CR0_EM_TS));
	asm volatile("movq %%cr4, %0; orq %1, %0; movq %0, %%cr4" : "=&r"(cr) : "er"(CR4_OSFXSR_OSXMMEXCPT));
}

/*
 * Packed integers: two pictures of 1 MiB blended 77 : 179 into a third, as video does it; the result is the sum of the differences from the first,
 * and a checksum by shuffles. 26 vector instructions for 16 bytes.
 */
#define BLEND_SIZE (1u << 20)
static bytes16 *const first = (bytes16 *)ARENA;
static bytes16 *const second = (bytes16 *)(ARENA + BLEND_SIZE);
static bytes16 *const blended = (bytes16 *)(ARENA + 2 * BLEND_SIZE);

static int blend_setup(void)
{
	u64 state = 9;

	enable();
	for (u32 i = 0; i < 2 * BLEND_SIZE / 8; i++)
		((u64 *)ARENA)[i] = xorshift(&state);
	return 1;
}

static words8 mix(chars16 a, chars16 b)
{
	const words8 weight_a = { 77, 77, 77, 77, 77, 77, 77, 77 }, weight_b = 256 - weight_a;

	return (words8)__builtin_ia32_psrlwi128((words8)a * weight_a + (words8)b * weight_b, 8);
}

static NOINLINE u64 blend(u64 rep)
{
	const chars16 zero = { 0 };
	quadwords2 sum = { 0 };
	doublewords4 hash = { 0 };

	for (u32 i = 0; i < BLEND_SIZE / 16; i++) {
		chars16 a = (chars16)first[i], b = (chars16)second[i];
		words8 low = mix(__builtin_ia32_punpcklbw128(a, zero), __builtin_ia32_punpcklbw128(b, zero));
		words8 high = mix(__builtin_ia32_punpckhbw128(a, zero), __builtin_ia32_punpckhbw128(b, zero));
		chars16 r = __builtin_ia32_packuswb128(low, high);

		blended[i] = (bytes16)r;
		sum += (quadwords2)__builtin_ia32_psadbw128(r, a);
		hash = (doublewords4)__builtin_ia32_pshufd((ints4)(hash ^ (doublewords4)r), 0x39) + (doublewords4)r;
	}
	return sum[0] + sum[1] + ((u64)hash[1] << 32 | hash[0]) + ((u64)hash[3] << 32 | hash[2]);
}

const struct kernel vector_kernels[] = {
	/* name   units in a repetition     n   expect               setup         rep      finish */
	{ "blend",  BLEND_SIZE / 16,      500, 0xba5dd82429224b28, blend_setup,  blend },
};
const int nr_vector_kernels = sizeof vector_kernels / sizeof *vector_kernels;
