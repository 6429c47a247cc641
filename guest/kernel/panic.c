// SPDX-License-Identifier: MIT
/* The end: every CPU's registers, one line of result, and the exit port. */
#include <stdarg.h>

#include "apic.h"
#include "cpu.h"
#include "kernel.h"
#include "params.h"
#include "ptrace.h"
#include "smp.h"

#define EXIT_PORT 0xf4
#define NO_CPU 0xffffffffu
#define DUMP_TURNS 10000000u

#define PANIC_REASON_SIZE 160

char panic_reason[PANIC_REASON_SIZE];
static DEFINE_PER_CPU(const struct pt_regs *, die_regs); /* if it was an exception */

static _Atomic u32 panic_cpu = NO_CPU; /* who died first, and prints */
static _Atomic u32 panic_turn = NO_CPU; /* who may print now */

void machine_exit(enum exit_code code)
{
	outl(code, EXIT_PORT);
	printk("No exit device at port 0xf4: halted\n");
	halt_forever();
}

static void print_symbol(unsigned long addr)
{
	unsigned long offset;
	const char *name = kallsyms_lookup(addr, &offset);

	if (name)
		printk("%s+0x%lx", name, offset);
	else
		printk("0x%lx", addr);
}

static bool readable_code(unsigned long addr)
{
	return kernel_text_address(addr) && kernel_text_address(addr + 15);
}

void show_regs(const struct pt_regs *regs)
{
	unsigned int i;

	printk("CPU%u: vector %lu error %lx flags %lx cs %lx\n", smp_processor_id(), regs->vector, regs->error,
	       regs->flags, regs->cs);
#ifdef __x86_64__
	printk("  rip %p ", (void *)regs->ip);
	print_symbol(regs->ip);
	printk("\n  rax %p rbx %p rcx %p rdx %p\n", (void *)regs->ax, (void *)regs->bx, (void *)regs->cx,
	       (void *)regs->dx);
	printk("  rsi %p rdi %p rbp %p rsp %p\n", (void *)regs->si, (void *)regs->di, (void *)regs->bp,
	       (void *)kernel_stack_pointer(regs));
	printk("  r8  %p r9  %p r10 %p r11 %p\n", (void *)regs->r8, (void *)regs->r9, (void *)regs->r10,
	       (void *)regs->r11);
	printk("  r12 %p r13 %p r14 %p r15 %p\n", (void *)regs->r12, (void *)regs->r13, (void *)regs->r14,
	       (void *)regs->r15);
#else
	printk("  eip %p ", (void *)regs->ip);
	print_symbol(regs->ip);
	printk("\n  eax %p ebx %p ecx %p edx %p\n", (void *)regs->ax, (void *)regs->bx, (void *)regs->cx,
	       (void *)regs->dx);
	printk("  esi %p edi %p ebp %p esp %p\n", (void *)regs->si, (void *)regs->di, (void *)regs->bp,
	       (void *)kernel_stack_pointer(regs));
#endif
	printk("  cr0 %p cr2 %p cr3 %p cr4 %p\n", (void *)read_cr0(), (void *)read_cr2(), (void *)read_cr3(),
	       (void *)read_cr4());
	if (readable_code(regs->ip)) {
		printk("  code");
		for (i = 0; i < 16; i++)
			printk(" %02x", ((const u8 *)regs->ip)[i]);
		printk("\n");
	}
}

bool panicking(void)
{
	return atomic_load(&panic_cpu) != NO_CPU;
}

/* Wins the right to say why, or waits for the NMI that whoever won will send. */
static void enter_panic(void)
{
	u32 expected = NO_CPU, self = smp_processor_id();

	local_irq_disable();
	if (atomic_compare_exchange_strong(&panic_cpu, &expected, self))
		return;
	if (expected == self) /* a fault while dying */
		machine_exit(EXIT_PANIC);
	/* No NMI may reach us: a fault in its handler keeps the next one out. So answer as if it had. */
	while (atomic_load(&panic_turn) != self)
		cpu_relax();
	if (this_cpu_read(die_regs))
		show_regs(this_cpu_read(die_regs));
	else
		printk("CPU%u: was about to panic too\n", self);
	atomic_store(&panic_turn, NO_CPU);
	halt_forever();
}

/* NMIs, since a CPU in trouble may have interrupts off; first to all, so that all stop; then each prints in its turn. */
static void dump_other_cpus(void)
{
	unsigned int cpu, turns;

	for_each_other_cpu(cpu)
		apic_send_NMI(cpu);
	for_each_other_cpu(cpu) {
		atomic_store(&panic_turn, cpu);
		for (turns = 0; turns < DUMP_TURNS && atomic_load(&panic_turn) == cpu; turns++)
			cpu_relax();
		if (atomic_load(&panic_turn) == cpu)
			printk("CPU%u: does not answer an NMI\n", cpu);
	}
}

void nmi_dump_this_cpu(const struct pt_regs *regs)
{
	if (!panicking())
		die("NMI", regs);
	while (atomic_load(&panic_turn) != smp_processor_id())
		cpu_relax();
	show_regs(regs);
	atomic_store(&panic_turn, NO_CPU);
	halt_forever();
}

/* The bad end itself: the words are in panic_reason, and from here on they go out. */
static noinline void __noreturn panic_stop(void)
{
	const struct pt_regs *regs = this_cpu_read(die_regs);

	bust_spinlocks();
	printk("Kernel panic - not syncing: CPU%u: %s\n", smp_processor_id(), panic_reason);
	if (regs)
		show_regs(regs);
	dump_other_cpus();
	printk("result: PANIC");
	print_params();
	printk(" cpu=%u reason=%s\n", smp_processor_id(), panic_reason);
	machine_exit(EXIT_PANIC);
}

noinline void panic(const char *fmt, ...)
{
	va_list args;

	enter_panic();
	va_start(args, fmt);
	vsnprintk(panic_reason, PANIC_REASON_SIZE, fmt, args);
	va_end(args);
	panic_stop();
}

/* An exception that nobody expects. */
void die(const char *what, const struct pt_regs *regs)
{
	unsigned long offset;
	const char *name = kallsyms_lookup(regs->ip, &offset);

	this_cpu_write(die_regs, regs);
	if (name)
		panic("%s at %s+0x%lx", what, name, offset);
	panic("%s at 0x%lx", what, regs->ip);
}
