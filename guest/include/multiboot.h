/* SPDX-License-Identifier: MIT */
/* Multiboot Specification 1, "Boot information format", as far as we read it. */
#ifndef MULTIBOOT_H
#define MULTIBOOT_H

#include "types.h"

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB, if MULTIBOOT_INFO_MEMORY */
	u32 boot_device;
	u32 cmdline;              /* if MULTIBOOT_INFO_CMDLINE */
} __packed;

#define MULTIBOOT_INFO_MEMORY (1u << 0)
#define MULTIBOOT_INFO_CMDLINE (1u << 2)

#endif
