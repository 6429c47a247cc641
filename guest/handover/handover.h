/* SPDX-License-Identifier: MIT */
#ifndef HANDOVER_H
#define HANDOVER_H

/* What an entry stub passes to handover_main in EAX. */
#define PROTOCOL_MULTIBOOT1 1
#define PROTOCOL_MULTIBOOT2 2
#define PROTOCOL_PVH	    3
#define PROTOCOL_LINUX32    4
#define PROTOCOL_LINUX64    5
#define PROTOCOL_ROM	    6

#define LOAD_ADDRESS 0x100000
#define STACK_TOP    0x180000

#define EXIT_PORT    0xf4
#define EXIT_SUCCESS 0x10
#define EXIT_FAILURE 0x11

#endif
