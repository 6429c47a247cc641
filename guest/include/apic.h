/* SPDX-License-Identifier: MIT */
#ifndef APIC_H
#define APIC_H

#include "types.h"

extern bool x2apic_mode;

bool x2apic_supported(void);
void lapic_init(void);            /* on every CPU */
u32 read_apic_id(void);
void apic_eoi(void);
void apic_send_IPI(unsigned int cpu, u8 vector);
void apic_send_IPI_allbutself(u8 vector);
void apic_send_IPI_self(u8 vector);
void apic_send_NMI(unsigned int cpu);
void apic_send_INIT_allbutself(void);
void apic_send_SIPI_allbutself(u8 page);
void apic_show_errors(void);

#endif
