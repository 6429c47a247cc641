/* The events that one CPU can do alone. Each loop holds the event, its count, and as little else as C allows. */
#include "bench.h"

/* rep movsb: 1 MiB with one instruction. */
#define MOVSB_SIZE (1ul << 20)
#define MOVSB_FROM ((u8 *)ARENA)
#define MOVSB_TO   ((u8 *)ARENA + 0x337840)

static int movsb_setup(void)
{
	u64 state = 11;

	for (u64 i = 0; i < MOVSB_SIZE / 8; i++)
		((u64 *)MOVSB_FROM)[i] = xorshift(&state);
	return 1;
}

static u64 movsb(u64 rep)
{
	u8 *to = MOVSB_TO, *from = MOVSB_FROM;
	u64 left = MOVSB_SIZE;

	from[0] = from[MOVSB_SIZE - 1] = rep;
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
	return left + (u8)(to[-1] - rep) + (u8)(MOVSB_TO[0] - rep) + (to - MOVSB_TO) + (from - MOVSB_FROM);
}

static int movsb_finish(void)
{
	for (u64 i = 0; i < MOVSB_SIZE; i++)
		if (MOVSB_TO[i] != MOVSB_FROM[i])
			return 0;
	return 1;
}

/*
 * A short jump patched and called. SDM, "Handling Self- and Cross-Modifying Code", allows the store followed by a jump to
 * the new code on the CPU that stored; the call is that jump. The sum depends on the order: one stale target changes it.
 */
#define PATCHES 1000
extern u8 patch_site[], patch_far[];

static u64 patch(u64 rep)
{
	u64 sum = 0;
	u8 displacement = patch_far - (patch_site + 2);

	for (int i = 0; i < PATCHES; i++) {
		*(volatile u8 *)(patch_site + 1) = i & 1 ? displacement : 0;
		sum = sum * 3 + ((u64 (*)(void))patch_site)();
	}
	return sum;
}

/* A store into a page that holds code, 2 KiB from the instructions, and a call of that code. */
#define CODE_STORES 1000
extern volatile u64 mixed_data;
u64 mixed_code(u64 v);

static u64 codestore(u64 rep)
{
	u64 v = 0;

	mixed_data = 0;
	for (int i = 0; i < CODE_STORES; i++) {
		mixed_data = v;
		v = mixed_code(v);
	}
	return v << 32 | mixed_data;
}

/* int3, the handler of traps.S, IRETQ. */
#define INT3S 10000
u64 int3_count;

static u64 int3(u64 rep)
{
	u64 before = *(volatile u64 *)&int3_count;

	for (int i = 0; i < INT3S; i++)
		asm volatile("int3" : : : "memory");
	return *(volatile u64 *)&int3_count - before;
}

/*
 * MOV to CR3, then a read from each of 64 pages, alternately in two address spaces which map them to different frames: a
 * translation that survives the load shows in the sum.
 */
#define CR3_LOADS 1000
extern u8 pml4_a[], pml4_b[];

static int cr3_setup(void)
{
	for (u64 page = 0; page < WINDOW_PAGES; page++) {
		*(u64 *)(WINDOW_FRAMES_A + 4096 * page) = page + 1;
		*(u64 *)(WINDOW_FRAMES_B + 4096 * page) = (page + 1) * (page + 1);
	}
	return 1;
}

static u64 cr3(u64 rep)
{
	u64 sum = 0;

	for (int i = 0; i < CR3_LOADS; i++) {
		u64 touched = 0;
		asm volatile("mov %0, %%cr3" : : "r"(i & 1 ? pml4_a : pml4_b) : "memory");
		for (u64 page = 0; page < WINDOW_PAGES; page++)
			touched += *(volatile u64 *)(WINDOW + 4096 * page);
		sum = sum * 3 + touched;
	}
	return sum;             /* ends in pml4_a, as it began */
}

/* Reads of the local APIC's ID register. The ID is that of the boot CPU; CPUID says which one, in setup. */
#define LAPIC_READS 10000
static u32 boot_apic_id;

static int lapic_setup(void)
{
	u32 eax = 1, ebx, ecx, edx;

	if (!lapic_present())
		return 0;
	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	boot_apic_id = ebx >> 24;
	return 1;
}

static u64 lapic(u64 rep)
{
	u64 right = 0;

	for (int i = 0; i < LAPIC_READS; i++)
		right += lapic_read(LAPIC_ID) >> 24 == boot_apic_id;
	return right;
}

/* Writes to port 0x80 (POST codes; nobody answers). Nothing can be read back: the check proves only the loop. */
#define PORT_WRITES 10000

static u64 port(u64 rep)
{
	u64 sum = 0;

	for (int i = 0; i < PORT_WRITES; i++) {
		outb(0x80, i);
		sum += (u8)i;
	}
	return sum;
}

const struct kernel event_kernels[] = {
	/* name        units in a repetition   n   expect                       setup        rep        finish */
	{ "repmovsb",  MOVSB_SIZE,           250, 2 * MOVSB_SIZE,               movsb_setup, movsb, movsb_finish },
	{ "patch",     PATCHES,              100, 0xf5ce1c2d645338f4,           0,           patch },
	{ "codestore", CODE_STORES,         4000, 1000ul << 32 | 999,           0,           codestore },
	{ "int3",      INT3S,                250, INT3S,                        0,           int3 },
	{ "cr3",       CR3_LOADS,             80, 0x54c07509acbf5900,           cr3_setup,   cr3 },
	{ "lapic",     LAPIC_READS,         1500, LAPIC_READS,                  lapic_setup, lapic },
	{ "port",      PORT_WRITES,         1500, 1273080,                      0,           port },
};
const int nr_event_kernels = sizeof event_kernels / sizeof *event_kernels;
