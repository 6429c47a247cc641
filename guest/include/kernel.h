/* SPDX-License-Identifier: MIT */
/* What every file needs: printing, dying, strings, the linker script's landmarks. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdarg.h>

#include "types.h"

/* kernel/printk.c */
int printk(const char *fmt, ...) __printf(1, 2);
void vprintk(const char *fmt, va_list args); /* without the lock */
void vsnprintk(char *buffer, size_t size, const char *fmt, va_list args); /* cut off at size, always ended by a zero */
void bust_spinlocks(void);

/* kernel/panic.c */
struct pt_regs;
/*
 * Every bad end comes through panic(): a failed check directly, an exception by way of die(). A watcher that cares only for
 * the fact stops at its first instruction; one that wants the words lets that CPU go on alone to panic_stop(), where
 * panic_reason holds them and nothing has been printed yet and no other CPU told.
 */
extern char panic_reason[];
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
void die(const char *what, const struct pt_regs *regs) __noreturn;
void show_regs(const struct pt_regs *regs);
void nmi_dump_this_cpu(const struct pt_regs *regs) __noreturn;
bool panicking(void);

#define BUG_ON(condition)                                                                              \
	do {                                                                                           \
		if (unlikely(condition))                                                               \
			panic("BUG at %s:%d: %s", __FILE__, __LINE__, #condition);                     \
	} while (0)

/*
 * The exit port: QEMU's isa-debug-exit makes of a value v the process status v * 2 + 1.
 */
enum exit_code {
	EXIT_SUCCESS = 0x10, /* QEMU exits with 33 */
	EXIT_FAILED = 0x11,  /* 35: the kernel's own checks failed, or it refused its command line */
	EXIT_PANIC = 0x12,   /* 37 */
};
void machine_exit(enum exit_code code) __noreturn;

/* arch/serial.c */
void serial_init(void);
void serial_putc(char c);

/* kernel/string.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *s, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);

/* kernel/extable.c */
enum system_states { SYSTEM_BOOTING, SYSTEM_SCHEDULING, SYSTEM_FREEING_INITMEM, SYSTEM_RUNNING };
extern enum system_states system_state;
bool init_kernel_text(unsigned long addr);
bool core_kernel_text(unsigned long addr);
bool kernel_text_address(unsigned long addr);

/* kernel/kallsyms.c */
const char *kallsyms_lookup(unsigned long addr, unsigned long *offset);

/* guest.lds */
extern char _text[], _etext[], _rodata[], _erodata[], _data[], _end[];
extern char __init_begin[], __init_end[], _sinittext[], _einittext[];
extern char __per_cpu_start[], __per_cpu_end[];

#endif
