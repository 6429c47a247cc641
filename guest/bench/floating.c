/* Floating point: scalar and packed SSE2, and x87. The arithmetic is IEEE's, so every machine returns the same bits. */
#include "bench.h"

#define NUMBERS 4096
#define ROUNDS  256

static double *const a = (double *)ARENA, *const b = (double *)ARENA + NUMBERS;

static int floating_setup(void)
{
	u64 cr0, cr4;
	u32 mxcsr = 0x1f80;

	/* CR0: EM clear, MP and NE set. CR4: OSFXSR, OSXMMEXCPT. */
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" : : "r"((cr0 & ~0xcul) | 0x22));
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" : : "r"(cr4 | 0x600));
	asm volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
	for (int i = 0; i < NUMBERS; i++) {
		a[i] = 1 + i / 4096.0;
		b[i] = 2 - i / 8192.0;
	}
	return 1;
}

static inline u64 bits(double v)
{
	union { double v; u64 bits; } u = { v };
	return u.bits;
}

/* 10. A recurrence over two arrays: load, multiply, multiply, add, and now and then a division. */
static u64 scalar(u64 rep)
{
	double sum = 0;

	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < NUMBERS; i++)
			sum = sum * 0.75 + a[i] * b[i];
		sum = sum / 3;
	}
	return bits(sum);
}

/* 11. The same, two numbers at a time. */
typedef double pair __attribute__((vector_size(16)));

static u64 packed(u64 rep)
{
	pair sum = { 0, 0 }, factor = { 0.75, 0.75 }, three = { 3, 3 };

	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < NUMBERS; i += 2)
			sum = sum * factor + *(pair *)&a[i] * *(pair *)&b[i];
		sum = sum / three;
	}
	return bits(sum[0]) ^ bits(sum[1]) << 1;
}

/* 12. The same in x87's extended precision, but for the factor: all sums are exact. */
static u64 x87(u64 rep)
{
	long double sum = 0;

	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < NUMBERS; i++)
			sum += (long double)a[i] * b[i];
		sum = sum - 4096;
	}
	return bits((double)sum);
}

/* The expected values were computed apart from this code (expect.py). */
const struct kernel float_kernels[] = {
	/* name       units in a repetition n  expect              setup           rep */
	{ "scalar", ROUNDS * NUMBERS,      40, 0x400ffeaa15555553, floating_setup, scalar },
	{ "packed", ROUNDS * NUMBERS,      40, 0xc0100603b555555b, floating_setup, packed },
	{ "x87",    ROUNDS * NUMBERS,      10, 0x413954d554000000, floating_setup, x87 },
};
const int nr_float_kernels = sizeof float_kernels / sizeof *float_kernels;
