/* SPDX-License-Identifier: MIT */
/* A ticket lock in C11 atomics: first come, first served, so no CPU starves under any fair schedule. */
#ifndef SPINLOCK_H
#define SPINLOCK_H

#include "cpu.h"

typedef struct {
	_Atomic u32 next, owner;
} spinlock_t;

#define DEFINE_SPINLOCK(name) spinlock_t name = { 0, 0 }

static inline void spin_lock(spinlock_t *lock)
{
	u32 ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);

	while (atomic_load_explicit(&lock->owner, memory_order_acquire) != ticket)
		cpu_relax();
}

static inline void spin_unlock(spinlock_t *lock)
{
	u32 owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);

	/* A plain store: on x86 it is a release, and it does not empty the store buffer. */
	atomic_store_explicit(&lock->owner, owner + 1, memory_order_release);
}

static inline bool spin_is_locked(spinlock_t *lock)
{
	return atomic_load(&lock->owner) != atomic_load(&lock->next);
}

/* Nothing sleeps here: a mutex is a lock that is taken with interrupts on, because its holder waits for IPIs. */
struct mutex {
	spinlock_t lock;
};

#define DEFINE_MUTEX(name) struct mutex name = { { 0, 0 } }

static inline void mutex_lock(struct mutex *m)
{
	spin_lock(&m->lock);
}

static inline void mutex_unlock(struct mutex *m)
{
	spin_unlock(&m->lock);
}

static inline bool mutex_is_locked(struct mutex *m)
{
	return spin_is_locked(&m->lock);
}

#endif
