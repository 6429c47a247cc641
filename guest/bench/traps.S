/*
 * Vectors. Contract of an interrupt in 64-bit mode: RSP aligned by 16, then SS, RSP, RFLAGS, CS, RIP pushed, and for
 * some exceptions an error code. Each stub leaves with every register as it found it.
 */
	.text
	.code64

/* All exceptions, 16 bytes each: push the vector (and before it a zero where the CPU pushed no code), then report. */
	.globl trap_table
	.balign 16
	.type trap_table, @function
trap_table:
	.set vector, 0
	.rept 32
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr
	.size trap_table, . - trap_table

	.type trap_common, @function
trap_common:
	popq %rdi                       /* vector */
	popq %rsi                       /* error code */
	movq (%rsp), %rdx               /* RIP */
	movq %cr2, %rcx
	andq $~15, %rsp
	call trap_unexpected            /* does not return */
	.size trap_common, . - trap_common

/* #BP of the int3 kernel: the shortest honest handler, so that the round trip itself is what counts. */
	.globl int3_entry
	.balign 16
	.type int3_entry, @function
int3_entry:
	incq int3_count(%rip)
	iretq
	.size int3_entry, . - int3_entry

/* The IPI: saves what C may change, as a kernel's entry does. RSP: 5 pushed by the CPU and 9 here leave it aligned. */
	.globl ipi_entry
	.balign 16
	.type ipi_entry, @function
ipi_entry:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	cld
	call ipi_handler
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	iretq
	.size ipi_entry, . - ipi_entry

/* SDM, "Spurious Interrupt": no EOI. */
	.globl spurious_entry
	.balign 16
	.type spurious_entry, @function
spurious_entry:
	iretq
	.size spurious_entry, . - spurious_entry

/* Code that the event kernels store into; each on a page of its own, away from the loop that stores. */
	.section .patchpage, "awx"
	.balign 4096
	.globl patch_site
	.type patch_site, @function
patch_site:
	.byte 0xeb, 0                   /* jmp short; its displacement is patched to reach one of the two below */
	movl $1, %eax                   /* displacement 0 */
	ret
	.globl patch_far
patch_far:
	movl $2, %eax
	ret
	.size patch_site, . - patch_site

	.balign 4096
	.globl mixed_code, mixed_data
	.type mixed_code, @function
mixed_code:
	leaq 1(%rdi), %rax
	ret
	.size mixed_code, . - mixed_code
	.balign 2048
mixed_data:
	.quad 0
	.balign 4096

	.section .note.GNU-stack, "", @progbits
