/* The IDT, and the one line that an unexpected exception leaves behind. */
#include "bench.h"

struct gate {
	u16 offset_low, selector;
	u8 ist, attributes;
	u16 offset_middle;
	u32 offset_high, reserved;
};

static struct gate idt[256] __attribute__((aligned(16)));

extern u8 trap_table[], int3_entry[], ipi_entry[], spurious_entry[];

static void set_gate(int vector, const void *entry)
{
	u64 offset = (u64)entry;
	idt[vector] = (struct gate){
		.offset_low = offset, .offset_middle = offset >> 16, .offset_high = offset >> 32,
		.selector = 0x18, .attributes = 0x8e,   /* present, DPL 0, 64-bit interrupt gate */
	};
}

void idt_init(void)
{
	for (int v = 0; v < 32; v++)
		set_gate(v, trap_table + 16 * v);
	set_gate(3, int3_entry);
	set_gate(IPI_VECTOR, ipi_entry);
	set_gate(SPURIOUS_VECTOR, spurious_entry);
	idt_load();
}

void idt_load(void)
{
	struct { u16 limit; u64 base; } __attribute__((packed)) pointer = { sizeof idt - 1, (u64)idt };
	asm volatile("lidt %0" : : "m"(pointer));
}

void __attribute__((noreturn)) trap_unexpected(u64 vector, u64 code, u64 rip, u64 cr2)
{
	print("bench: exception ");
	print_dec(vector);
	print(" error=");
	print_hex(code);
	print(" rip=");
	print_hex(rip);
	print(" cr2=");
	print_hex(cr2);
	print("\n");
	leave(EXIT_FAIL);
}
