// SPDX-License-Identifier: MIT
/* Both kinds of key, both kinds of branch, in both states: while this CPU is alone (Linux: lib/test_static_keys.c). */
#include "jump_label.h"
#include "kernel.h"

static DEFINE_STATIC_KEY_TRUE(true_key);
static DEFINE_STATIC_KEY_FALSE(false_key);

static bool __init likely_true(void) { return static_branch_likely(&true_key); }
static bool __init unlikely_true(void) { return static_branch_unlikely(&true_key); }
static bool __init likely_false(void) { return static_branch_likely(&false_key); }
static bool __init unlikely_false(void) { return static_branch_unlikely(&false_key); }

static void __init check_keys(bool value_of_true_key, bool value_of_false_key)
{
	BUG_ON(likely_true() != value_of_true_key);
	BUG_ON(unlikely_true() != value_of_true_key);
	BUG_ON(likely_false() != value_of_false_key);
	BUG_ON(unlikely_false() != value_of_false_key);
}

void __init jump_label_test(void)
{
	check_keys(true, false);
	static_branch_disable(&true_key);
	static_branch_enable(&false_key);
	check_keys(false, true);
	static_branch_enable(&true_key);
	static_branch_disable(&false_key);
	check_keys(true, false);
}
