/* The local APIC in xAPIC mode, the start of a second CPU, and the ping-pong of interrupts between the two. */
#include "bench.h"

#define MSR_APIC_BASE    0x1b
#define APIC_BASE_X2APIC (1 << 10)
#define APIC_BASE_ENABLE (1 << 11)
#define MSR_GS_BASE      0xc0000101

#define LAPIC_EOI    0xb0
#define LAPIC_SVR    0xf0
#define LAPIC_ICR    0x300
#define LAPIC_ICR2   0x310
#define SVR_ENABLE   0x100
#define ICR_BUSY     0x1000
#define ICR_INIT     0x4500             /* INIT, assert */
#define ICR_STARTUP  0x4600
#define ICR_FIXED    0x4000
#define ICR_OTHERS   0xc0000            /* shorthand: all excluding self */

u32 lapic_read(u32 reg)
{
	return *(volatile u32 *)(LAPIC_BASE + reg);
}

static void lapic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(LAPIC_BASE + reg) = v;
}

/* Prints the reason where there is none. */
int lapic_present(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	if ((base & ~0xffful) == LAPIC_BASE && (base & APIC_BASE_ENABLE) && !(base & APIC_BASE_X2APIC))
		return 1;
	print("bench: the local APIC is not in xAPIC mode at fee00000\n");
	return 0;
}

static void icr_wait(void)
{
	while (lapic_read(LAPIC_ICR) & ICR_BUSY)
		asm volatile("pause");
}

/* Reached through GS, so that the handler needs no look-up to know where it runs. */
struct cpu {
	volatile u64 ipis;              /* written by this CPU's handler alone; first, since the handler adds to %gs:0 */
	u64 seen;
	u32 apic_id;
};

static struct cpu boot_cpu, ap_cpu;
static volatile u32 ap_ready;
static volatile int use_hlt;
extern volatile u32 ap_tickets;
extern u8 trampoline[], trampoline_end[];

static void cpu_init(struct cpu *cpu)
{
	wrmsr(MSR_GS_BASE, (u64)cpu);
	lapic_write(LAPIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
	cpu->apic_id = lapic_read(LAPIC_ID) >> 24;
	cpu->ipis = cpu->seen = 0;
}

void ipi_handler(void)
{
	asm volatile("incq %%gs:0" : : : "memory", "cc");
	lapic_write(LAPIC_EOI, 0);
}

/* As Linux in xAPIC mode: wait for the last one to leave, destination, then the command, whose write sends it. */
static void send_ipi(u32 apic_id)
{
	icr_wait();
	lapic_write(LAPIC_ICR2, apic_id << 24);
	lapic_write(LAPIC_ICR, ICR_FIXED | IPI_VECTOR);
}

/*
 * Waits for this CPU's next IPI. HLT: the count is looked at with interrupts off, and STI lets none in before HLT has
 * begun (SDM, "STI": the instruction after it), so none is slept through. PAUSE: the handler interrupts the loop.
 */
static void wait_ipi(struct cpu *cpu)
{
	cpu->seen++;
	if (use_hlt) {
		asm volatile("cli");
		while (cpu->ipis < cpu->seen)
			asm volatile("sti; hlt; cli" : : : "memory");
	} else {
		asm volatile("sti");
		while (cpu->ipis < cpu->seen)
			asm volatile("pause");
	}
}

void ap_main(void)
{
	idt_load();
	cpu_init(&ap_cpu);
	ap_ready = 1;
	for (;;) {
		wait_ipi(&ap_cpu);
		send_ipi(boot_cpu.apic_id);
	}
}

/* About n microseconds on hardware, where a write to port 0x80 takes one; PAUSE lets an emulator run the other CPU. */
static void delay(int n)
{
	while (n--) {
		outb(0x80, 0);
		asm volatile("pause");
	}
}

static void send_others(u32 command)
{
	icr_wait();
	lapic_write(LAPIC_ICR, ICR_OTHERS | command);
	icr_wait();
}

/* SDM, "Typical BSP Initialization Sequence". The second start-up IPI finds a running CPU, which ignores it. */
static int start_ap(void)
{
	u8 *page = (u8 *)TRAMPOLINE;

	if (!lapic_present())
		return 0;
	outb(0x21, 0xff);               /* 8259s: every line masked; only IPIs interrupt us */
	outb(0xa1, 0xff);
	cpu_init(&boot_cpu);
	for (u64 i = 0; i < (u64)(trampoline_end - trampoline); i++)
		page[i] = trampoline[i];
	ap_ready = 0;
	ap_tickets = 0;

	send_others(ICR_INIT);
	delay(10000);
	send_others(ICR_STARTUP | TRAMPOLINE >> 12);
	delay(200);
	send_others(ICR_STARTUP | TRAMPOLINE >> 12);
	for (int i = 0; i < 1000 && !ap_ready; i++)
		delay(100);
	if (!ap_ready)
		print("bench: no second CPU answered; IPI ping-pong takes two (-smp 2)\n");
	return ap_ready;
}

#define ROUND_TRIPS 1000

static int hlt_setup(void)
{
	use_hlt = 1;
	return start_ap();
}

static int pause_setup(void)
{
	use_hlt = 0;
	return start_ap();
}

static u64 ping_pong(u64 rep)
{
	u64 here = boot_cpu.ipis, there = ap_cpu.ipis;

	for (int i = 0; i < ROUND_TRIPS; i++) {
		send_ipi(ap_cpu.apic_id);
		wait_ipi(&boot_cpu);
	}
	return (boot_cpu.ipis - here) << 32 | (ap_cpu.ipis - there);
}

/* INIT leaves the APs waiting for a start-up IPI: none runs on beside the next kernel. */
static int stop_ap(void)
{
	asm volatile("cli");
	send_others(ICR_INIT);
	delay(1000);
	return 1;
}

const struct kernel ipi_kernels[] = {
	{ "ipi-hlt",   ROUND_TRIPS, 400, (u64)ROUND_TRIPS << 32 | ROUND_TRIPS, hlt_setup,   ping_pong, stop_ap },
	{ "ipi-pause", ROUND_TRIPS, 400, (u64)ROUND_TRIPS << 32 | ROUND_TRIPS, pause_setup, ping_pong, stop_ap },
};
const int nr_ipi_kernels = sizeof ipi_kernels / sizeof *ipi_kernels;
