// SPDX-License-Identifier: MIT
/* start_kernel(): the table of contents. */
#include "acpi.h"
#include "apic.h"
#include "cpu.h"
#include "jump_label.h"
#include "kernel.h"

#include "multiboot.h"
#include "params.h"
#include "pgtable.h"
#include "smp.h"
#include "workload.h"

#ifdef __x86_64__
#define UTS_MACHINE "x86_64"
#else
#define UTS_MACHINE "i686"
#endif

#define COMMAND_LINE_SIZE 512

static char boot_command_line[COMMAND_LINE_SIZE] __initdata;

static void __init setup_command_line(const struct multiboot_info *info)
{
	const char *from = (const char *)(unsigned long)info->cmdline;
	size_t length;

	if (!(info->flags & MULTIBOOT_INFO_CMDLINE))
		return;
	length = strlen(from);
	if (length >= COMMAND_LINE_SIZE)
		refuse("command line: %lu characters, and only %u fit", (unsigned long)length, COMMAND_LINE_SIZE - 1);
	memcpy(boot_command_line, from, length + 1);
}

static void __init print_cpu(void)
{
	u32 r[4], id;
	char vendor[13] = "";

	cpuid_count(0, 0, r);
	memcpy(vendor, &r[1], 4);
	memcpy(vendor + 4, &r[3], 4);
	memcpy(vendor + 8, &r[2], 4);
	cpuid_count(1, 0, r);
	id = r[0];
	printk("CPU0: %s family %x model %x stepping %x\n", vendor, (id >> 8 & 15) + (id >> 20 & 255),
	       (id >> 4 & 15) | (id >> 12 & 0xf0), id & 15);
}

/* The 8259 pair sends nothing from here on: all interrupts are IPIs. */
static void __init mask_8259(void)
{
	outb(0xff, 0x21);
	outb(0xff, 0xa1);
}

static void __init setup_apic(void)
{
	if (params.ipi == IPI_X2APIC) {
		if (!x2apic_supported())
			refuse("ipi=x2apic: this CPU has no x2APIC (CPUID.1:ECX[21])");
		x2apic_mode = true;
	}
	lapic_init();
}

/* Not init text: it is running while that goes away. */
static noinline void __noreturn rest_init(void)
{
	system_state = SYSTEM_FREEING_INITMEM;
	free_initmem();
	system_state = SYSTEM_RUNNING;
	if (exploring) {
		explore_run();
		explore_report();
	}
	workload_run();
	workload_report();
}

void start_kernel(const struct multiboot_info *info) __noreturn;
void __init start_kernel(const struct multiboot_info *info)
{
	unsigned int listed_cpus;
	const char *missing;

	setup_cpu(0);
	serial_init();
	printk("Emu guest (" UTS_MACHINE "), gcc " __VERSION__ "\n");
	setup_command_line(info);
	listed_cpus = acpi_count_cpus();
	paging_init();
	printk("Command line: %s\n", boot_command_line);
	parse_params(boot_command_line);
	print_cpu();
	jump_label_init();
	workload_check_params();
	missing = sync_core_init();
	if (missing)
		refuse("%s", missing);

	jump_label_test();

	mask_8259();
	setup_apic();
	local_irq_enable();
	system_state = SYSTEM_SCHEDULING;
	smp_init(params.cpus, listed_cpus);
	printk("smp: Brought up 1 node, %u CPU%s\n", nr_cpus_online, nr_cpus_online == 1 ? "" : "s");

	workload_init_text();
	rest_init();
}
