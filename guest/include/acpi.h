/* SPDX-License-Identifier: MIT */
#ifndef ACPI_H
#define ACPI_H

/* How many CPUs the firmware lists, or 0 if it left no table. Reads page 0, so call it before paging_init(). */
unsigned int acpi_count_cpus(void);

#endif
