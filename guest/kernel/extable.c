// SPDX-License-Identifier: MIT
/* Which addresses are code, and until when. */
#include "kernel.h"

enum system_states system_state;

/* Global since the patch that the 2009 thread is about: jump labels have to ask it. */
bool init_kernel_text(unsigned long addr)
{
	return addr >= (unsigned long)_sinittext && addr < (unsigned long)_einittext;
}

bool core_kernel_text(unsigned long addr)
{
	return addr >= (unsigned long)_text && addr < (unsigned long)_etext;
}

bool kernel_text_address(unsigned long addr)
{
	return core_kernel_text(addr) || (system_state < SYSTEM_FREEING_INITMEM && init_kernel_text(addr));
}
