/* The bench: reads the command line, runs what it names, prints one line for each. */
#include "bench.h"

#define MULTIBOOT_BOOTED 0x2badb002
#define INFO_MEMORY      (1 << 0)
#define INFO_CMDLINE     (1 << 2)

struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline;  /* memory sizes in KiB; upper starts at 1 MiB */
};

static char cmdline[512];
static const char *wanted;
static u64 count;
static int count_given, show_tsc;

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static const char *after(const char *word, const char *prefix)
{
	while (*prefix)
		if (*word++ != *prefix++)
			return 0;
	return word;
}

static void __attribute__((noreturn)) refuse(const char *what, const char *word)
{
	print("bench: ");
	print(what);
	print(word);
	print("\n");
	leave(EXIT_FAIL);
}

static u64 parse_count(const char *s)
{
	u64 v = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9' && v < 1ul << 32; p++)
		v = v * 10 + (*p - '0');
	if (p == s || *p || v >= 1ul << 32)
		refuse("n= takes a decimal number below 2^32, not ", s);
	return v;
}

/* The loader may put the image's name first (QEMU does); that word is passed over. */
static void parse(void)
{
	char *p = cmdline;

	for (int first = 1;; first = 0) {
		while (*p == ' ')
			p++;
		if (!*p)
			return;
		char *word = p;
		while (*p && *p != ' ')
			p++;
		if (*p)
			*p++ = 0;

		const char *value;
		if ((value = after(word, "kernel=")))
			wanted = value;
		else if ((value = after(word, "n=")))
			count = parse_count(value), count_given = 1;
		else if (equal(word, "tsc"))
			show_tsc = 1;
		else if (!first)
			refuse("unknown option (there are kernel=NAME n=COUNT tsc): ", word);
	}
}

static int run(const struct kernel *k)
{
	u64 n = count_given ? count : k->default_n;
	u64 check = 0x9e3779b97f4a7c15, bad = 0;

	if (k->setup && !k->setup()) {
		print("bench ");
		print(k->name);
		print(" FAIL\n");
		return 0;
	}
	u64 start = rdtsc();
	for (u64 i = 0; i < n; i++) {
		u64 result = k->rep(i);
		bad |= result ^ k->expect;
		check = ((check << 5 | check >> 59) ^ result) * 0xff51afd7ed558ccd;
	}
	u64 ticks = rdtsc() - start;
	if (k->finish && !k->finish() && n)
		bad = 1;

	print("bench ");
	print(k->name);
	if (bad)
		print(" FAIL");
	print(" n=");
	print_dec(n);
	print(" units=");
	print_dec(n * k->units);
	print(" check=");
	print_hex(check);
	if (show_tsc) {
		print(" tsc=");
		print_dec(ticks);
	}
	print("\n");
	return !bad;
}

void main(u64 magic, const struct multiboot_info *info)
{
	static const struct { const struct kernel *kernels; const int *nr; } groups[] = {
		{ compute_kernels, &nr_compute_kernels },
		{ vector_kernels, &nr_vector_kernels },
		{ float_kernels, &nr_float_kernels },
		{ event_kernels, &nr_event_kernels },
		{ ipi_kernels, &nr_ipi_kernels },
	};
	int matches = 0, ok = 1;

	serial_init();
	if (magic != MULTIBOOT_BOOTED)
		refuse("not started by a multiboot 1 loader", "");
	if (info->flags & INFO_CMDLINE) {
		const char *s = (const char *)(u64)info->cmdline;
		int i = 0;
		while (s[i] && i < (int)sizeof cmdline - 1)
			cmdline[i] = s[i], i++;
		if (s[i])
			refuse("the command line is longer than 511 characters", "");
	}
	if (!(info->flags & INFO_MEMORY) || info->mem_upper * 1024ul + 0x100000 < ARENA_END)
		refuse("needs 64 MB of memory", "");
	idt_init();
	parse();
	if (!wanted)
		refuse("say kernel=NAME, kernel=all, or kernel=list for the names", "");

	int list = equal(wanted, "list"), all = equal(wanted, "all");
	for (int g = 0; g < (int)(sizeof groups / sizeof *groups); g++)
		for (int i = 0; i < *groups[g].nr; i++) {
			const struct kernel *k = &groups[g].kernels[i];
			if (list) {
				print(k->name);
				print("\n");
			} else if (all || equal(wanted, k->name)) {
				matches++;
				ok &= run(k);
			}
		}
	if (!list && !matches)
		refuse("no such kernel (kernel=list prints the names): ", wanted);
	leave(ok ? EXIT_OK : EXIT_FAIL);
}
