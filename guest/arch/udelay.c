// SPDX-License-Identifier: MIT
/*
 * Short delays by channel 2 of the 8254 timer: its rate is the one thing about time that a PC promises, so nothing
 * has to be calibrated.
 */
#include "cpu.h"
#include "smp.h"

#define PIT_HZ 1193182u
#define PIT_CH2 0x42
#define PIT_MODE 0x43
#define PORT_B 0x61
#define PORT_B_GATE2 0x01
#define PORT_B_SPEAKER 0x02
#define PORT_B_OUT2 0x20
#define POLL_LIMIT 1000000 /* where there is no timer, the delay ends all the same */

/* At most 50,000 microseconds: the counter has 16 bits. */
void udelay(unsigned int usecs)
{
	unsigned int ticks = usecs * (PIT_HZ / 1000) / 1000 + 1;
	int limit = POLL_LIMIT;
	u8 port_b = inb(PORT_B) & ~(PORT_B_GATE2 | PORT_B_SPEAKER);

	outb(port_b, PORT_B);
	outb(0xb0, PIT_MODE); /* channel 2, low then high byte, mode 0: output rises at the end of the count */
	outb(ticks & 0xff, PIT_CH2);
	outb(ticks >> 8, PIT_CH2);
	outb(port_b | PORT_B_GATE2, PORT_B);
	while (!(inb(PORT_B) & PORT_B_OUT2) && --limit)
		;
	outb(port_b, PORT_B);
}
