/* SPDX-License-Identifier: MIT */
/*
 * The firmware of a machine without anything else: it reads and writes a register of two devices, at 00:04.0 and 00:05.0, in
 * turn, and tells by port 0xe9 how many cycles each N of that took: words of four bytes, READS of 4, of 5, WRITES to 4, to 5;
 * in the next round 5 comes first. Port 0xf4 ends the machine. Assembled for 0xffff0000, 64 KiB.
 */
	.set	N, 200
	.set	ROUNDS, 60
	.set	FIRST, 0xe0000000
	.set	SECOND, 0xe0100000

/* Register `at` of configuration space of a device of bus 0. */
.macro	config slot, at, value
	mov	$(0x80000000 | \slot << 11 | \at), %eax
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$0xcfc, %dx
	mov	$\value, %eax
	out	%eax, %dx
.endm

/* N times what `how` does with the device at `base`. */
.macro	burst base, how:vararg
	mov	\base, %ebp
	mov	$N, %ecx
	rdtsc
	mov	%eax, %ebx
1:	\how
	dec	%ecx
	jnz	1b
	rdtsc
	sub	%ebx, %eax
	mov	$4, %ecx
2:	out	%al, $0xe9
	shr	$8, %eax
	dec	%ecx
	jnz	2b
.endm

	.code16
rom:
	cli
	lgdtl	%cs:(table_at - rom)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$8, $flat

	.code32
flat:
	mov	$16, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	config	4, 0x10, FIRST
	config	4, 4, 2
	config	5, 0x10, SECOND
	config	5, 4, 2
	mov	$FIRST, %esi
	mov	$SECOND, %edi
	/* No memory is used: what is left to count rounds by is the stack's register. */
	mov	$ROUNDS, %esp
round:
	burst	%esi, mov 4(%ebp), %eax
	burst	%edi, mov 4(%ebp), %eax
	burst	%esi, mov %eax, 4(%ebp)
	burst	%edi, mov %eax, 4(%ebp)
	xchg	%esi, %edi
	dec	%esp
	jnz	round
	out	%al, $0xf4
stop:	hlt
	jmp	stop

	.balign	8
table:	.quad	0, 0x00cf9a000000ffff, 0x00cf92000000ffff
table_at: .word	table_at - table - 1
	.long	table

	.org	0xfff0
	.code16
	jmp	rom
	.org	0x10000
