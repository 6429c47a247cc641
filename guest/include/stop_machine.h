/* SPDX-License-Identifier: MIT */
#ifndef STOP_MACHINE_H
#define STOP_MACHINE_H

#include "types.h"

/*
 * Runs fn(data) here while every other CPU spins with interrupts off. Interrupts must be on. With `sync`, every CPU then runs
 * sync_core() before it goes on.
 */
int stop_machine(int (*fn)(void *data), void *data, bool sync);

#endif
