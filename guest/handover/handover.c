// SPDX-License-Identifier: MIT
/*
 * Says on the serial port what its loader handed over, in words that do not depend on the loader's protocol, nor on the machine: the command line, modules, the
 * RAM at 1 MiB, and the CPUs that ACPI's MADT lists. 32-bit code without paging; an entry stub (multiboot.S, pvh.S, linux.S, rom.S) brings it here.
 */
#include "handover.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define COM1 0x3f8
#define MIB 0x100000u
#define AVAILABLE 1

static void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static u32 read32(u32 address)
{
	__asm__("" : "+r"(address)); /* page 0 is memory too */
	return *(const u32 *)address;
}

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

static void print(const char *text)
{
	while (*text)
		put(*text++);
}

static void print_number(u32 value)
{
	char digits[10];
	int n = 0;

	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	while (n)
		put(digits[--n]);
}

static void setup_serial(void)
{
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x80);
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3);
	outb(COM1 + 2, 7);
}

static void command_line(u32 text)
{
	print("command line: ");
	print(text ? (const char *)text : "none");
	put('\n');
}

static void module(u32 start, u32 bytes, u32 line)
{
	u32 sum = 0, i;

	for (i = 0; i < bytes; i++)
		sum = sum * 31 + *(const u8 *)(start + i);
	print("module: ");
	print_number(bytes);
	print(" bytes, hash ");
	print_number(sum);
	if (line && *(const char *)line) {
		print(", ");
		print((const char *)line);
	}
	put('\n');
}

static u32 mib_at_1mib;

/* A range of the memory map. Loaders reserve some of its end for themselves: full MiB are enough to compare. */
static void range(u32 start, u32 start_high, u32 length, u32 type)
{
	if (type == AVAILABLE && !start_high && start == MIB)
		mib_at_1mib = length / MIB;
}

static void memory(void)
{
	print("RAM from 1 MiB: ");
	print(mib_at_1mib >= 32 ? "more than 32 MiB" : mib_at_1mib ? "less than 32 MiB" : "not told");
	put('\n');
}

static void multiboot1(u32 info)
{
	u32 flags = read32(info), i, at, line = read32(info + 16);

	/* The image's name comes first, as the loader spells it. */
	while (*(const char *)line && *(const char *)line != ' ')
		line++;
	command_line(*(const char *)line ? line + 1 : line);
	for (i = 0; flags & 8 && i < read32(info + 20); i++) {
		at = read32(info + 24) + 16 * i;
		module(read32(at), read32(at + 4) - read32(at), 0);
	}
	for (at = read32(info + 48); at < read32(info + 48) + read32(info + 44); at += read32(at) + 4)
		range(read32(at + 4), read32(at + 8), read32(at + 12), read32(at + 20));
}

static void multiboot2(u32 info)
{
	u32 tag, at;

	for (tag = info + 8; read32(tag); tag += (read32(tag + 4) + 7) & ~7u)
		if (read32(tag) == 1)
			command_line(tag + 8);
	for (tag = info + 8; read32(tag); tag += (read32(tag + 4) + 7) & ~7u) {
		if (read32(tag) == 3)
			module(read32(tag + 8), read32(tag + 12) - read32(tag + 8), tag + 16);
		for (at = tag + 16; read32(tag) == 6 && at < tag + read32(tag + 4); at += read32(tag + 8))
			range(read32(at), read32(at + 4), read32(at + 8), read32(at + 16));
	}
}

static void pvh(u32 info)
{
	u32 i, at;

	command_line(read32(info + 24));
	for (i = 0; i < read32(info + 12); i++) {
		at = read32(info + 16) + 32 * i;
		module(read32(at), read32(at + 8), 0);
	}
	for (i = 0; i < read32(info + 48); i++) {
		at = read32(info + 40) + 24 * i;
		range(read32(at), read32(at + 4), read32(at + 8), read32(at + 16));
	}
}

static void linux_zero_page(u32 page)
{
	u32 i, at;

	command_line(read32(page + 0x228));
	if (read32(page + 0x21c))
		module(read32(page + 0x218), read32(page + 0x21c), 0);
	for (i = 0; i < (read32(page + 0x1e8) & 0xff); i++) {
		at = page + 0x2d0 + 20 * i;
		range(read32(at), read32(at + 4), read32(at + 8), read32(at + 16));
	}
}

static u8 sum(u32 start, u32 length)
{
	u8 total = 0;

	while (length--)
		total += *(const u8 *)start++;
	return total;
}

static u32 find_rsdp(void)
{
	u32 at;

	for (at = 0xe0000; at < 0x100000; at += 16)
		if (read32(at) == 0x20445352 && read32(at + 4) == 0x20525450 && !sum(at, 20))
			return at;
	return 0;
}

static void acpi(void)
{
	u32 rsdp = find_rsdp(), rsdt, table, at, i, cpus = 0;

	rsdt = rsdp ? read32(rsdp + 16) : 0;
	for (i = 36; rsdt && i < read32(rsdt + 4); i += 4) {
		table = read32(rsdt + i);
		if (read32(table) != 0x43495041 || sum(table, read32(table + 4)))
			continue;
		for (at = table + 44; at < table + read32(table + 4); at += *(const u8 *)(at + 1))
			cpus += *(const u8 *)at == 0 && (read32(at + 4) & 1);
	}
	print("ACPI: ");
	if (cpus) {
		print_number(cpus);
		print(" CPUs\n");
	} else {
		print("none\n");
	}
}

static const char *const names[] = { 0, "multiboot 1", "multiboot 2", "PVH", "Linux, 32-bit entry", "Linux, 64-bit entry", "ROM" };

void handover_main(u32 protocol, u32 info)
{
	setup_serial();
	print("protocol: ");
	print(names[protocol]);
	put('\n');
	switch (protocol) {
	case PROTOCOL_MULTIBOOT1:
		multiboot1(info);
		break;
	case PROTOCOL_MULTIBOOT2:
		multiboot2(info);
		break;
	case PROTOCOL_PVH:
		pvh(info);
		break;
	case PROTOCOL_LINUX32:
	case PROTOCOL_LINUX64:
		linux_zero_page(info);
		break;
	}
	if (protocol != PROTOCOL_ROM) {
		memory();
		acpi();
	}
	print("done\n");
	outb(EXIT_PORT, EXIT_SUCCESS);
	for (;;)
		__asm__ volatile("cli; hlt");
}
