// SPDX-License-Identifier: MIT
/* printk, and snprintf's half of it: %s %c %d %u %x %lu %lx %p %%, with a width, '0' and '-'. */
#include <stdarg.h>

#include "cpu.h"
#include "kernel.h"
#include "spinlock.h"

static DEFINE_SPINLOCK(console_lock);
static bool oops_in_progress;

/* Where formatted text goes: into a buffer, cut off at its end, or to the console. */
struct sink {
	char *at, *end; /* at NULL: the console */
};

static void emit(struct sink *to, char c)
{
	if (to->at) {
		if (to->at < to->end)
			*to->at++ = c;
		return;
	}
	if (c == '\n')
		serial_putc('\r');
	serial_putc(c);
}

static void emit_field(struct sink *to, const char *text, size_t length, int width, bool left, char fill)
{
	int pad = width - (int)length;

	if (!left)
		for (; pad > 0; pad--)
			emit(to, fill);
	while (length--)
		emit(to, *text++);
	for (; left && pad > 0; pad--)
		emit(to, ' ');
}

static void emit_number(struct sink *to, unsigned long value, unsigned int base, bool negative, int width, bool left,
			char fill)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[value % base];
	while (value /= base);
	if (negative)
		digits[--at] = '-';
	emit_field(to, digits + at, sizeof(digits) - at, width, left, fill);
}

static void format(struct sink *to, const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool left = false, is_long = false;
		char fill = ' ';
		int width = 0;
		unsigned long value;
		const char *text;

		if (*fmt != '%') {
			emit(to, *fmt);
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
			emit_field(to, text, strlen(text), width, left, ' ');
			break;
		case 'c':
			emit(to, (char)va_arg(args, int));
			break;
		case 'd': {
			long n = is_long ? va_arg(args, long) : va_arg(args, int);

			emit_number(to, n < 0 ? -(unsigned long)n : (unsigned long)n, 10, n < 0, width, left, fill);
			break;
		}
		case 'u':
		case 'x':
			value = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned int);
			emit_number(to, value, *fmt == 'u' ? 10 : 16, false, width, left, fill);
			break;
		case 'p':
			emit_number(to, (unsigned long)va_arg(args, void *), 16, false, 2 * sizeof(long), false, '0');
			break;
		default:
			emit(to, *fmt);
			break;
		}
	}
}

void vprintk(const char *fmt, va_list args)
{
	struct sink console = { NULL, NULL };

	format(&console, fmt, args);
}

void vsnprintk(char *buffer, size_t size, const char *fmt, va_list args)
{
	struct sink to = { buffer, buffer + size - 1 };

	format(&to, fmt, args);
	*to.at = '\0';
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
