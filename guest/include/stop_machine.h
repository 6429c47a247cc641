/* SPDX-License-Identifier: MIT */
#ifndef STOP_MACHINE_H
#define STOP_MACHINE_H

/* Runs fn(data) here while every other CPU spins with interrupts off. Interrupts must be on. */
int stop_machine(int (*fn)(void *data), void *data);

#endif
