/*
 * The compute kernels. Their paths depend on nothing but the image: no clock, no device, no interrupt. So every machine
 * retires the same instructions, and one count of them serves all.
 */
#include "bench.h"

#define NOINLINE __attribute__((noipa))

static u8 *const bytes = (u8 *)ARENA;
static u32 *const words = (u32 *)ARENA;

/* 1. Dependent integer arithmetic: each operation needs the result of the one before. */
#define ALU_STEPS (1 << 20)

static NOINLINE u64 alu(u64 rep)
{
	u64 x = 0x0123456789abcdef;

	for (u64 i = 0; i < ALU_STEPS; i++) {
		x = x * 6364136223846793005 + i;
		x ^= x >> 29;
		x += x << 17 | x >> 47;
		x -= i << 3;
		x ^= x << 7;
	}
	return x;
}

/* 2. Sieve of Eratosthenes over 8 MiB, one byte a number; the result is how many primes there are. */
#define SIEVE_SIZE (8u << 20)

static NOINLINE u64 sieve(u64 rep)
{
	u64 primes = 0;

	for (u64 i = 0; i < SIEVE_SIZE / 8; i++)
		((u64 *)bytes)[i] = 0;
	for (u64 i = 2; i * i < SIEVE_SIZE; i++)
		if (!bytes[i])
			for (u64 j = i * i; j < SIEVE_SIZE; j += i)
				bytes[j] = 1;
	for (u64 i = 2; i < SIEVE_SIZE; i++)
		primes += !bytes[i];
	return primes;
}

/* 3. CRC-32 (IEEE 802.3, reflected) over 1 MiB through a table. */
#define CRC_SIZE (1u << 20)
static u32 crc_table[256];

static int crc_setup(void)
{
	u64 state = 1;

	for (u32 i = 0; i < 256; i++) {
		u32 c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
		crc_table[i] = c;
	}
	for (u32 i = 0; i < CRC_SIZE; i++)
		bytes[i] = xorshift(&state);
	return 1;
}

static NOINLINE u64 crc(u64 rep)
{
	u32 c = ~0u;

	for (u32 i = 0; i < CRC_SIZE; i++)
		c = crc_table[(u8)(c ^ bytes[i])] ^ c >> 8;
	return ~c;
}

/* 4. Recursive Fibonacci: calls, returns and a little stack. 635,621 calls for fib(27). */
static NOINLINE u64 fib(u64 n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static u64 fib_rep(u64 rep)
{
	return fib(27);
}

/* 5. Quicksort of 2^20 integers through a compare pointer. */
#define SORT_SIZE (1 << 20)
typedef int (*compare_fn)(const void *, const void *);

static NOINLINE int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	return (x > y) - (x < y);
}

static compare_fn volatile compare = compare_u32;       /* volatile: the call must stay indirect */

static NOINLINE void quicksort(u32 *first, u32 *last, compare_fn cmp)
{
	while (last - first > 1) {
		u32 pivot = first[(last - first) / 2];
		u32 *i = first, *j = last - 1;
		for (;;) {
			while (cmp(i, &pivot) < 0)
				i++;
			while (cmp(j, &pivot) > 0)
				j--;
			if (i >= j)
				break;
			u32 t = *i;
			*i++ = *j;
			*j-- = t;
		}
		/* Recursion into the smaller part keeps the stack below 20 frames. */
		if (i - first < last - i) {
			quicksort(first, i, cmp);
			first = i;
		} else {
			quicksort(i, last, cmp);
			last = i;
		}
	}
}

static u64 sort(u64 rep)
{
	u64 state = 5, hash = 0;

	for (int i = 0; i < SORT_SIZE; i++)
		words[i] = xorshift(&state) >> 32;
	quicksort(words, words + SORT_SIZE, compare);
	for (int i = 0; i < SORT_SIZE; i++)
		hash = hash * 31 + words[i];
	return hash;
}

/* 6. Product of two 256 x 256 matrices of 32-bit integers. */
#define DIM 256
typedef u32 matrix[DIM][DIM];

static int matmul_setup(void)
{
	u64 state = 6;

	for (int i = 0; i < 2 * DIM * DIM; i++)
		words[i] = xorshift(&state) >> 32;
	return 1;
}

static NOINLINE void multiply(matrix c, matrix a, matrix b)
{
	for (int i = 0; i < DIM; i++)
		for (int j = 0; j < DIM; j++) {
			u32 sum = 0;
			for (int k = 0; k < DIM; k++)
				sum += a[i][k] * b[k][j];
			c[i][j] = sum;
		}
}

static u64 matmul(u64 rep)
{
	matrix *m = (matrix *)ARENA;
	u64 hash = 0;

	multiply(m[2], m[0], m[1]);
	for (int i = 0; i < DIM * DIM; i++)
		hash = hash * 31 + words[2 * DIM * DIM + i];
	return hash;
}

/*
 * 7. Copy of 15 MiB by 8-byte loads and stores. `copy`: source and destination differ in the index of every power-of-two
 * table of pages (0xf37 pages and 0x840 bytes apart). `copy32`: exactly 32 MiB apart, so that a direct-mapped software TLB
 * of up to 8192 pages has them evict each other.
 */
#define COPY_WORDS (15ul * 1024 * 1024 / 8)
#define COPY_FROM  ARENA
#define COPY_TO    (ARENA + 0xf37840)
#define COPY32_TO  (ARENA + (32ul << 20))

static int copy_fill(void)
{
	u64 state = 7, *p = (u64 *)COPY_FROM;

	for (u64 i = 0; i < COPY_WORDS; i++)
		p[i] = xorshift(&state);
	return 1;
}

static NOINLINE void copy_words(u64 *to, const u64 *from, u64 n)
{
	for (u64 i = 0; i < n; i++)
		to[i] = from[i];
}

/* Marks the source in three places with the repetition's number: what returns is the same only if all three arrive. */
static u64 copy_stamped(u64 *to, u64 *from, u64 rep)
{
	from[0] = from[COPY_WORDS / 2] = from[COPY_WORDS - 1] = rep;
	copy_words(to, from, COPY_WORDS);
	return (to[0] - rep) + (to[COPY_WORDS / 2] - rep) + (to[COPY_WORDS - 1] - rep) + to[1];
}

static int copy_compare(const u64 *to, const u64 *from)
{
	for (u64 i = 0; i < COPY_WORDS; i++)
		if (to[i] != from[i])
			return 0;
	return 1;
}

static u64 copy(u64 rep)       { return copy_stamped((u64 *)COPY_TO, (u64 *)COPY_FROM, rep); }
static int copy_finish(void)   { return copy_compare((u64 *)COPY_TO, (u64 *)COPY_FROM); }
static u64 copy32(u64 rep)     { return copy_stamped((u64 *)COPY32_TO, (u64 *)COPY_FROM, rep); }
static int copy32_finish(void) { return copy_compare((u64 *)COPY32_TO, (u64 *)COPY_FROM); }

/* 8. A bytecode interpreter with computed goto: how many Collatz steps the numbers below 10,000 take in all. */
enum { PUSH, LOAD, STORE, ADD, MUL, AND, SHR, LESS, JUMP, JUMP_ZERO, HALT };
enum { NUMBER, VALUE, STEPS };          /* local variables */

static const u8 collatz[] = {
	/*  0 */ PUSH, 1, STORE, NUMBER,
	/*  4 */ LOAD, NUMBER, STORE, VALUE,                            /* take the next number */
	/*  8 */ PUSH, 1, LOAD, VALUE, LESS, JUMP_ZERO, 50,             /* while 1 < value: */
	/* 15 */ LOAD, STEPS, PUSH, 1, ADD, STORE, STEPS,
	/* 22 */ LOAD, VALUE, PUSH, 1, AND, JUMP_ZERO, 41,
	/* 29 */ LOAD, VALUE, PUSH, 3, MUL, PUSH, 1, ADD, STORE, VALUE, /* odd: 3 * value + 1 */
	/* 39 */ JUMP, 8,
	/* 41 */ LOAD, VALUE, PUSH, 1, SHR, STORE, VALUE,               /* even: value / 2 */
	/* 48 */ JUMP, 8,
	/* 50 */ LOAD, NUMBER, PUSH, 1, ADD, STORE, NUMBER,
	/* 57 */ LOAD, NUMBER, PUSH, 100, PUSH, 100, MUL, LESS, JUMP_ZERO, 69,
	/* 67 */ JUMP, 4,
	/* 69 */ HALT,
};

static NOINLINE u64 interpret(const u8 *code)
{
	static const void *const handlers[] = {
		&&push, &&load, &&store, &&add, &&mul, &&and, &&shr, &&less, &&jump, &&jump_zero, &&halt,
	};
	u64 stack[8], *sp = stack, locals[3] = { 0 };
	const u8 *pc = code;

#define NEXT goto *handlers[*pc++]
	NEXT;
push:	*sp++ = *pc++; NEXT;
load:	*sp++ = locals[*pc++]; NEXT;
store:	locals[*pc++] = *--sp; NEXT;
add:	sp--; sp[-1] += sp[0]; NEXT;
mul:	sp--; sp[-1] *= sp[0]; NEXT;
and:	sp--; sp[-1] &= sp[0]; NEXT;
shr:	sp--; sp[-1] >>= sp[0]; NEXT;
less:	sp--; sp[-1] = sp[-1] < sp[0]; NEXT;
jump:	pc = code + *pc; NEXT;
jump_zero:
	if (*--sp)
		pc++;
	else
		pc = code + *pc;
	NEXT;
halt:	return locals[STEPS];
#undef NEXT
}

static u64 interp(u64 rep)
{
	return interpret(collatz);
}

/* The expected values were computed apart from this code (expect.py). */
const struct kernel compute_kernels[] = {
	/* name   units in a repetition     n   expect               setup         rep      finish */
	{ "alu",    ALU_STEPS,            200, 0xb1903f44d4f9caf1, 0,            alu },
	{ "sieve",  SIEVE_SIZE,             4, 564163,             0,            sieve },
	{ "crc",    CRC_SIZE,             120, 0xf1767b73,         crc_setup,    crc },
	{ "fib",    635621,                80, 196418,             0,            fib_rep },
	{ "sort",   SORT_SIZE,              1, 0x2d78638827a54062, 0,            sort },
	{ "matmul", DIM * DIM * DIM,       15, 0x39cd1ad5c32e4875, matmul_setup, matmul },
	{ "copy",   COPY_WORDS,           100, 0x7001c71224016dc4, copy_fill,    copy,    copy_finish },
	{ "copy32", COPY_WORDS,            12, 0x7001c71224016dc4, copy_fill,    copy32,  copy32_finish },
	{ "interp", 849637,                 4, 849637,             0,            interp },
};
const int nr_compute_kernels = sizeof compute_kernels / sizeof *compute_kernels;
