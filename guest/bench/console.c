/* COM1 by polling, and the exit port. */
#include "bench.h"

#define COM1      0x3f8
#define COM1_LSR  (COM1 + 5)
#define LSR_THRE  0x20          /* transmitter holding register empty */
#define EXIT_PORT 0xf4          /* QEMU's isa-debug-exit: the process ends with 2 * value + 1 */

void serial_init(void)
{
	outb(COM1 + 1, 0);      /* no interrupts */
	outb(COM1 + 3, 0x80);   /* DLAB: the next two are the divisor */
	outb(COM1 + 0, 1);      /* 115200 */
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3);      /* 8N1 */
	outb(COM1 + 2, 0);      /* no FIFO */
}

static void put(char c)
{
	while (!(inb(COM1_LSR) & LSR_THRE))
		asm volatile("pause");
	outb(COM1, c);
}

void print(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
}

void print_dec(u64 v)
{
	char digits[21];
	int i = sizeof digits - 1;

	digits[i] = 0;
	do
		digits[--i] = '0' + v % 10;
	while (v /= 10);
	print(digits + i);
}

void print_hex(u64 v)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		put("0123456789abcdef"[v >> shift & 15]);
}

void leave(u32 code)
{
	outl(EXIT_PORT, code);
	for (;;)                /* a machine without that port */
		asm volatile("cli; hlt");
}
