// SPDX-License-Identifier: MIT
/* printk: %s %c %d %u %x %lu %lx %p %%, with a width, '0' and '-'. */
#include <stdarg.h>

#include "cpu.h"
#include "kernel.h"
#include "spinlock.h"

static DEFINE_SPINLOCK(console_lock);
static bool oops_in_progress;

static void emit(char c)
{
	if (c == '\n')
		serial_putc('\r');
	serial_putc(c);
}

static void emit_field(const char *text, size_t length, int width, bool left, char fill)
{
	int pad = width - (int)length;

	if (!left)
		for (; pad > 0; pad--)
			emit(fill);
	while (length--)
		emit(*text++);
	for (; left && pad > 0; pad--)
		emit(' ');
}

static void emit_number(unsigned long value, unsigned int base, bool negative, int width, bool left, char fill)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[value % base];
	while (value /= base);
	if (negative)
		digits[--at] = '-';
	emit_field(digits + at, sizeof(digits) - at, width, left, fill);
}

void vprintk(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool left = false, is_long = false;
		char fill = ' ';
		int width = 0;
		unsigned long value;
		const char *text;

		if (*fmt != '%') {
			emit(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == '-') {
			left = true;
			fmt++;
		}
		if (*fmt == '0') {
			fill = '0';
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (*fmt - '0');
		if (*fmt == 'l') {
			is_long = true;
			fmt++;
		}

		switch (*fmt) {
		case 's':
			text = va_arg(args, const char *);
			emit_field(text, strlen(text), width, left, ' ');
			break;
		case 'c':
			emit((char)va_arg(args, int));
			break;
		case 'd': {
			long n = is_long ? va_arg(args, long) : va_arg(args, int);

			emit_number(n < 0 ? -(unsigned long)n : (unsigned long)n, 10, n < 0, width, left, fill);
			break;
		}
		case 'u':
		case 'x':
			value = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned int);
			emit_number(value, *fmt == 'u' ? 10 : 16, false, width, left, fill);
			break;
		case 'p':
			emit_number((unsigned long)va_arg(args, void *), 16, false, 2 * sizeof(long), false, '0');
			break;
		default:
			emit(*fmt);
			break;
		}
	}
}

/* Lines of different CPUs do not mix: the lock is held from the first character to the last. */
int printk(const char *fmt, ...)
{
	unsigned long flags = local_irq_save();
	va_list args;

	va_start(args, fmt);
	if (!oops_in_progress)
		spin_lock(&console_lock);
	vprintk(fmt, args);
	if (!oops_in_progress)
		spin_unlock(&console_lock);
	va_end(args);
	local_irq_restore(flags);
	return 0;
}

/* The holder of the lock may be the one who died, or one who was stopped. From now on nobody asks for it. */
void bust_spinlocks(void)
{
	oops_in_progress = true;
}
