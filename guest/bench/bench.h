/* The bench guest: what its files share. One page, in the order of the build. */
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

/* Fixed places in physical memory, all identity-mapped. A machine of 64 MB holds them. */
#define TRAMPOLINE      0x8000ul        /* real-mode start of an AP; the SIPI vector is this page's number */
#define ARENA           0x1000000ul     /* 16 MiB: every kernel's working memory, one kernel at a time */
#define ARENA_END       0x3f00000ul     /* 63 MiB */
#define WINDOW          0x40000000ul    /* linear, 64 pages; pml4_a and pml4_b map it to different frames */
#define WINDOW_FRAMES_A ARENA
#define WINDOW_FRAMES_B (ARENA + 0x100000ul)
#define WINDOW_PAGES    64

#define LAPIC_BASE      0xfee00000ul
#define IPI_VECTOR      0xf0
#define SPURIOUS_VECTOR 0xff

/* One line of the table in main.c. `rep` is one repetition; each repetition does the same work. */
struct kernel {
	const char *name;
	u64 units;              /* elementary events in one repetition */
	u64 default_n;
	u64 expect;             /* what every call of rep must return */
	int (*setup)(void);     /* not timed; 0 if the machine lacks what the kernel needs (and says so) */
	u64 (*rep)(u64 i);
	int (*finish)(void);    /* not timed; 0 if what lies in memory is wrong */
};

extern const struct kernel compute_kernels[], vector_kernels[], float_kernels[], event_kernels[], ipi_kernels[];
extern const int nr_compute_kernels, nr_vector_kernels, nr_float_kernels, nr_event_kernels, nr_ipi_kernels;

/* console.c */
void serial_init(void);
void print(const char *s);
void print_dec(u64 v);
void print_hex(u64 v);
void __attribute__((noreturn)) leave(u32 code);
#define EXIT_OK   0x10
#define EXIT_FAIL 0x11

/* traps.c: the IDT. What it catches and nobody asked for ends the run with one line. */
void idt_init(void);
void idt_load(void);

/* smp.c */
u32 lapic_read(u32 reg);
void lapic_init(void);
int lapic_present(void);
#define LAPIC_ID 0x20

static inline void outb(u16 port, u8 v)  { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }

static inline u8 inb(u16 port)
{
	u8 v;
	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;
	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

/* The bench's source of data: Marsaglia's xorshift64, the same numbers in every run. */
static inline u64 xorshift(u64 *state)
{
	u64 x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

#endif
