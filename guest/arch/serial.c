// SPDX-License-Identifier: MIT
/* COM1, a 16550 by polling: no interrupt has to work for the last words of a panic to come out. */
#include "cpu.h"
#include "kernel.h"

#define COM1 0x3f8
#define THR 0 /* transmit holding register; with DLAB the divisor's low byte */
#define IER 1 /* interrupt enable; with DLAB the divisor's high byte */
#define FCR 2 /* FIFO control */
#define LCR 3 /* line control */
#define MCR 4 /* modem control */
#define LSR 5 /* line status */

#define LCR_DLAB 0x80
#define LCR_8N1 0x03
#define LSR_THRE 0x20
#define POLL_LIMIT 100000

void serial_init(void)
{
	outb(0, COM1 + IER);
	outb(LCR_DLAB, COM1 + LCR);
	outb(1, COM1 + THR); /* 115200 baud */
	outb(0, COM1 + IER);
	outb(LCR_8N1, COM1 + LCR);
	outb(0x07, COM1 + FCR); /* FIFOs on, and emptied */
	outb(0x03, COM1 + MCR); /* DTR, RTS */
}

void serial_putc(char c)
{
	int limit = POLL_LIMIT; /* a UART that is never ready must not hang the kernel */

	while (!(inb(COM1 + LSR) & LSR_THRE) && --limit)
		;
	outb((u8)c, COM1 + THR);
}
