// SPDX-License-Identifier: MIT
/*
 * ACPI's MADT, as far as it says how many CPUs there are.
 *
 * A PC's firmware leaves one (SeaBIOS under QEMU); a machine that loads this image without firmware has none. We only
 * want the number, to know when all have arrived. Who they are they tell themselves. (The older table, of the Intel
 * MultiProcessor Specification, will not do: SeaBIOS lists one CPU a package there.)
 */
#include "acpi.h"
#include "kernel.h"

struct acpi_table_rsdp {
	char signature[8]; /* "RSD PTR " */
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt_physical_address;
} __packed;

struct acpi_table_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem_id[6], oem_table_id[8];
	u32 oem_revision, creator_id, creator_revision;
} __packed;

struct acpi_table_madt {
	struct acpi_table_header header;
	u32 address, flags;
} __packed;

struct acpi_madt_entry {
	u8 type, length;
	union {
		struct { u8 processor_id, id; u32 lapic_flags; } __packed local_apic;
		struct { u16 reserved; u32 id, lapic_flags; } __packed local_x2apic;
	};
} __packed;

#define ACPI_MADT_TYPE_LOCAL_APIC 0
#define ACPI_MADT_TYPE_LOCAL_X2APIC 9
#define ACPI_MADT_ENABLED 1
#define BDA_EBDA_SEGMENT 0x40e
#define MAPPED_END 0x40000000ul /* what head.S has mapped; a table beyond counts as none */

static bool __init checksum_ok(const void *table, size_t length)
{
	const u8 *byte = table;
	u8 sum = 0;

	while (length--)
		sum += *byte++;
	return sum == 0;
}

static const struct acpi_table_rsdp *__init scan_for_rsdp(unsigned long from, unsigned long to)
{
	for (; from + sizeof(struct acpi_table_rsdp) <= to; from += 16) {
		const struct acpi_table_rsdp *rsdp = (const struct acpi_table_rsdp *)from;

		if (*(const u32 *)rsdp == 0x20445352 && memcmp(rsdp->signature, "RSD PTR ", 8) == 0
		    && checksum_ok(rsdp, sizeof(*rsdp)))
			return rsdp;
	}
	return NULL;
}

static const struct acpi_table_header *__init table_at(u32 address, const char *signature)
{
	const struct acpi_table_header *table = (const struct acpi_table_header *)(unsigned long)address;

	if (address < 0x1000 || address > MAPPED_END - sizeof(*table) || memcmp(table->signature, signature, 4))
		return NULL;
	if (table->length < sizeof(*table) || table->length > MAPPED_END - address
	    || !checksum_ok(table, table->length))
		return NULL;
	return table;
}

static unsigned int __init count_local_apics(const struct acpi_table_header *madt)
{
	const u8 *at = (const u8 *)madt + sizeof(struct acpi_table_madt), *end = (const u8 *)madt + madt->length;
	unsigned int cpus = 0;

	while (at + sizeof(struct acpi_madt_entry) <= end) {
		const struct acpi_madt_entry *entry = (const struct acpi_madt_entry *)at;

		if (entry->length < 2)
			break;
		if (entry->type == ACPI_MADT_TYPE_LOCAL_APIC)
			cpus += entry->local_apic.lapic_flags & ACPI_MADT_ENABLED;
		else if (entry->type == ACPI_MADT_TYPE_LOCAL_X2APIC)
			cpus += entry->local_x2apic.lapic_flags & ACPI_MADT_ENABLED;
		at += entry->length;
	}
	return cpus;
}

unsigned int __init acpi_count_cpus(void)
{
	/* Page 0 is a NULL pointer's page to the compiler; hide where the number comes from. */
	unsigned long bda = BDA_EBDA_SEGMENT, ebda, i;
	const struct acpi_table_rsdp *rsdp = NULL;
	const struct acpi_table_header *rsdt, *madt;

	__asm__("" : "+r"(bda));
	ebda = (unsigned long)*(const u16 *)bda << 4;
	if (ebda >= 0x80000 && ebda < 0xa0000)
		rsdp = scan_for_rsdp(ebda, ebda + 1024);
	if (!rsdp)
		rsdp = scan_for_rsdp(0xe0000, 0x100000);
	if (!rsdp)
		return 0;
	rsdt = table_at(rsdp->rsdt_physical_address, "RSDT");
	for (i = sizeof(*rsdt); rsdt && i + sizeof(u32) <= rsdt->length; i += sizeof(u32)) {
		madt = table_at(*(const u32 *)((const char *)rsdt + i), "APIC");
		if (madt)
			return count_local_apics(madt);
	}
	return 0;
}
