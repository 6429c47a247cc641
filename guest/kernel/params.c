// SPDX-License-Identifier: MIT
/* The command line: every choice that makes up an experiment. */
#include "params.h"
#include "kernel.h"
#include "protocol.h"
#include "sites.h"
#include "smp.h"

const char *const sync_names[] = {
	[SYNC_NONE] = "none", [SYNC_LFENCE] = "lfence", [SYNC_MFENCE] = "mfence", [SYNC_LFENCE_CPUID] = "lfence-cpuid",
	[SYNC_CPUID] = "cpuid", [SYNC_IRET] = "iret", [SYNC_SERIALIZE] = "serialize", [SYNC_MOV_CR2] = "mov-cr2", NULL,
};
const char *const fence_names[] = {
	[FENCE_NONE] = "none", [FENCE_SFENCE] = "sfence", [FENCE_MFENCE] = "mfence",
	[FENCE_MFENCE_LFENCE] = "mfence-lfence", NULL,
};
static const char *const ipi_names[] = { [IPI_XAPIC] = "xapic", [IPI_X2APIC] = "x2apic", NULL };
static const char *const ack_names[] = { [ACK_AFTER_SYNC] = "after-sync", [ACK_BEFORE_SYNC] = "before-sync", NULL };
static const char *const poke_names[] = {
	[POKE_ALIAS] = "alias", [POKE_ALIAS_MM] = "alias-mm", [POKE_WP] = "wp", NULL,
};

static const char *const int3_names[] = { [INT3_RETRY] = "retry", [INT3_DIE] = "die", NULL };

/* The 2009 mail's protocol and its site; CPUID, on which the thread agreed. */
#define DEFAULT_PROTOCOL "int3-ipi"
struct params params = {
	.sync = SYNC_CPUID, .fence = FENCE_NONE, .ipi = IPI_XAPIC, .ack = ACK_AFTER_SYNC,
	.poke = POKE_ALIAS, .site = &sites[0], .rounds = 64, .cpus = 0, .patches = 1,
};

void refuse(const char *fmt, ...)
{
	va_list args;

	printk("result: REFUSED ");
	va_start(args, fmt);
	vprintk(fmt, args);
	va_end(args);
	printk("\n");
	machine_exit(EXIT_FAILED);
}

static bool word_is(const char *word, size_t length, const char *name)
{
	return strlen(name) == length && strncmp(word, name, length) == 0;
}

/* A word of the command line, as far as a message can show it. */
static const char *__init word_text(const char *word, size_t length)
{
	static char text[48] __initdata;

	if (length > sizeof(text) - 1)
		length = sizeof(text) - 1;
	memcpy(text, word, length);
	text[length] = '\0';
	return text;
}

static unsigned int __init choose(const char *option, const char *const *names, const char *word, size_t length)
{
	unsigned int i;

	for (i = 0; names[i]; i++)
		if (word_is(word, length, names[i]))
			return i;
	printk("%s= is one of:", option);
	for (i = 0; names[i]; i++)
		printk(" %s", names[i]);
	printk("\n");
	refuse("%s=%s: unknown word", option, word_text(word, length));
}

static const struct site *__init choose_site(const char *word, size_t length)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++)
		if (word_is(word, length, sites[i].name))
			return &sites[i];
	printk("site= is one of:\n");
	for (i = 0; i < nr_sites; i++)
		printk("  %-15s %s\n", sites[i].name, sites[i].help);
	refuse("site=%s: unknown word", word_text(word, length));
}

static const struct text_poke_protocol *__init choose_protocol(const char *word, size_t length)
{
	const struct text_poke_protocol *protocol;

	for (protocol = __start_protocols; protocol < __stop_protocols; protocol++)
		if (word_is(word, length, protocol->name))
			return protocol;
	printk("protocol= is one of:\n");
	for (protocol = __start_protocols; protocol < __stop_protocols; protocol++)
		printk("  %-22s %s\n", protocol->name, protocol->help);
	refuse("protocol=%s: unknown word", word_text(word, length));
}

static unsigned int __init number(const char *option, const char *word, size_t length, unsigned int min, unsigned int max)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (word[i] < '0' || word[i] > '9')
			break;
		n = n * 10 + (unsigned int)(word[i] - '0');
		if (n > max)
			break;
	}
	if (length == 0 || i < length || n < min)
		refuse("%s=%s: must be a number from %u to %u", option, word_text(word, length), min, max);
	return n;
}

static void __init parse_option(const char *word, size_t length, size_t equals)
{
	const char *value = word + equals + 1;
	size_t value_length = length - equals - 1;

	if (word_is(word, equals, "protocol"))
		params.protocol = choose_protocol(value, value_length);
	else if (word_is(word, equals, "sync"))
		params.sync = choose("sync", sync_names, value, value_length);
	else if (word_is(word, equals, "fence"))
		params.fence = choose("fence", fence_names, value, value_length);
	else if (word_is(word, equals, "ipi"))
		params.ipi = choose("ipi", ipi_names, value, value_length);
	else if (word_is(word, equals, "ack"))
		params.ack = choose("ack", ack_names, value, value_length);
	else if (word_is(word, equals, "poke"))
		params.poke = choose("poke", poke_names, value, value_length);
	else if (word_is(word, equals, "int3"))
		params.int3 = choose("int3", int3_names, value, value_length);
	else if (word_is(word, equals, "site"))
		params.site = choose_site(value, value_length);
	else if (word_is(word, equals, "rounds"))
		params.rounds = number("rounds", value, value_length, 1, 100000000);
	else if (word_is(word, equals, "cpus"))
		params.cpus = number("cpus", value, value_length, 1, NR_CPUS);
	else if (word_is(word, equals, "explore")) {
		params.explore = number("explore", value, value_length, 0, 1000);
		exploring = true;
	} else if (word_is(word, equals, "patches"))
		params.patches = number("patches", value, value_length, 1, 1000);
	else
		refuse("%s: unknown option; there are protocol= sync= fence= ipi= ack= poke= int3= site= rounds= cpus= explore= patches=",
		       word_text(word, length));
}

void __init parse_params(const char *command_line)
{
	const char *word = command_line;
	bool first = true;

	params.protocol = choose_protocol(DEFAULT_PROTOCOL, strlen(DEFAULT_PROTOCOL));
	for (;;) {
		size_t length = 0, equals = 0;

		while (*word == ' ')
			word++;
		if (!*word)
			return;
		while (word[length] && word[length] != ' ')
			length++;
		while (equals < length && word[equals] != '=' && word[equals] != '/')
			equals++;

		/* GRUB's and QEMU's command lines begin with the image's own name, which may hold anything. */
		if (equals < length && word[equals] == '=')
			parse_option(word, length, equals);
		else if (!first)
			refuse("%s: not an option=value", word_text(word, length));
		first = false;
		word += length;
	}
}

void print_params(void)
{
	printk(" protocol=%s sync=%s fence=%s ipi=%s ack=%s poke=%s site=%s rounds=%u cpus=%u",
	       params.protocol->name, sync_names[params.sync], fence_names[params.fence],
	       ipi_names[params.ipi], ack_names[params.ack], poke_names[params.poke], params.site->name, params.rounds,
	       nr_cpus_online);
	if (params.int3 != INT3_RETRY)
		printk(" int3=%s", int3_names[params.int3]);
	if (exploring)
		printk(" explore=%u patches=%u", params.explore, params.patches);
}
