/*
 * Boot: from a multiboot 1 loader, or from the SIPI of another CPU, to 64-bit C.
 *
 * In:  boot CPU: 32-bit protected mode, paging off, interrupts off, EAX = the multiboot magic, EBX = its information.
 *      AP:       real mode, CS = TRAMPOLINE >> 4, IP = 0, interrupts off.
 * Out: main(magic, info) or ap_main() in long mode on a stack of its own, first GiB identity-mapped and writable.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3             /* modules page-aligned, memory sizes wanted */

#define CODE32 0x08
#define DATA   0x10
#define CODE64 0x18

#define CR0_PE  (1 << 0)
#define CR0_WP  (1 << 16)
#define CR0_PG  (1 << 31)
#define CR4_PAE (1 << 5)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)

#define TRAMPOLINE 0x8000
#define ARENA      0x1000000
#define PT_TABLE   0x3                  /* present, writable */
#define PT_PAGE    0x3
#define PT_LARGE   0x83                 /* present, writable, 2 MiB */
#define PT_DEVICE  0x9b                 /* present, writable, 2 MiB, write-through, cache-disable */

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl _start
	.type _start, @function
_start:
	cli
	cld
	movl %eax, %edi                 /* main's arguments; nothing below touches them */
	movl %ebx, %esi
	movl $boot_stack_top, %esp
	movl $start64, %ebp
	lgdt gdt_pointer
	jmp long_mode
	.size _start, . - _start

/* Contract: flat 32-bit protected mode, EBP = where to go on in 64-bit mode. Keeps EDI, ESI, ESP. */
	.type long_mode, @function
long_mode:
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $pml4_a, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $(CR0_PE | CR0_WP | CR0_PG), %eax
	andl $~0x60000000, %eax         /* CD and NW: INIT leaves the cache of an AP disabled */
	movl %eax, %cr0
	ljmp $CODE64, $1f
	.code64
1:	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	movl %ebp, %ebp
	jmp *%rbp
	.size long_mode, . - long_mode

	.type start64, @function
start64:
	movl %edi, %edi                 /* the upper halves are undefined after the change of mode */
	movl %esi, %esi
	movl %esp, %esp
	xorl %ebp, %ebp
	call main
	ud2                             /* main does not return */
	.size start64, . - start64

/* The first AP gets the stack and goes on; further ones stop here, since the bench wants two CPUs. */
	.type ap_start64, @function
ap_start64:
	movl $1, %eax
	lock xaddl %eax, ap_tickets(%rip)
	testl %eax, %eax
	jnz 1f
	movq $ap_stack_top, %rsp
	xorl %ebp, %ebp
	call ap_main
1:	cli
	hlt
	jmp 1b
	.size ap_start64, . - ap_start64

/* Copied to TRAMPOLINE before the SIPI. Position: everything it names lies at a known offset from CS. */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl trampoline_gdt_pointer - trampoline
	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $CODE32, $ap_start32
	.balign 4
trampoline_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.code32
	.type ap_start32, @function
ap_start32:
	movl $DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $ap_start64, %ebp
	jmp long_mode
	.size ap_start32, . - ap_start32

	.data
	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff        /* CODE32: flat; accessed bits set, so that loading them writes nothing */
	.quad 0x00cf93000000ffff        /* DATA: flat */
	.quad 0x00af9b000000ffff        /* CODE64 */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt

	.globl ap_tickets
ap_tickets:
	.long 0

/* Page tables, complete at link time. Two address spaces which differ only in the window at 1 GiB. */
	.section .pagetables, "aw"
	.balign 4096
	.globl pml4_a, pml4_b
pml4_a:	.quad pdpt_a + PT_TABLE
	.fill 511, 8, 0
pml4_b:	.quad pdpt_b + PT_TABLE
	.fill 511, 8, 0
pdpt_a:	.quad pd_low + PT_TABLE, pd_window_a + PT_TABLE, 0, pd_high + PT_TABLE
	.fill 508, 8, 0
pdpt_b:	.quad pd_low + PT_TABLE, pd_window_b + PT_TABLE, 0, pd_high + PT_TABLE
	.fill 508, 8, 0
pd_low:
	.set frame, 0
	.rept 512
	.quad frame + PT_LARGE
	.set frame, frame + 0x200000
	.endr
pd_high:				/* 3 GiB up; only the 2 MiB around the local APIC */
	.fill 503, 8, 0
	.quad 0xfee00000 + PT_DEVICE
	.fill 8, 8, 0
pd_window_a:
	.quad pt_window_a + PT_TABLE
	.fill 511, 8, 0
pd_window_b:
	.quad pt_window_b + PT_TABLE
	.fill 511, 8, 0
	.macro window frames
	.set frame, \frames
	.rept 64
	.quad frame + PT_PAGE
	.set frame, frame + 0x1000
	.endr
	.fill 448, 8, 0
	.endm
pt_window_a:
	window ARENA
pt_window_b:
	window ARENA + 0x100000

	.bss
	.balign 16
	.fill 65536
boot_stack_top:
	.fill 16384
ap_stack_top:

	.section .note.GNU-stack, "", @progbits
