/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * boot-sector - the smallest thing that boots from a disk: reads PIECES pieces of 64 blocks behind itself through the
 * BIOS (INT 13h, AH=42h), as every boot loader does, and adds up their 32-bit words. It says on the serial line a dot
 * for each 16 pieces, in the end "sum XXXXXXXX", or "error XX" with the BIOS's status, and stops.
 */
	.code16
	.globl	_start
	.set	PIECES, 512
	.set	BUFFER, 0x1000			/* segment */

_start:	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	movb	%dl, drive

next:	movb	$0x42, %ah
	movb	drive, %dl
	movw	$packet, %si
	int	$0x13
	jc	failed
	movw	$BUFFER, %ax
	movw	%ax, %es
	xorw	%di, %di
	movw	$64 * 512 / 4, %cx
	movl	sum, %eax
2:	addl	%es:(%di), %eax
	addw	$4, %di
	loop	2b
	movl	%eax, sum
	addw	$64, lba
	adcw	$0, lba + 2
	incw	done
	testw	$15, done
	jnz	3f
	movb	$'.', %al
	call	say
3:	cmpw	$PIECES, done
	jb	next
	movw	$said_sum, %si
	call	text
	movl	sum, %ebx
	movw	$8, %cx
	jmp	hex

failed:	movb	%ah, %bl
	shll	$24, %ebx
	movw	$said_error, %si
	call	text
	movw	$2, %cx
hex:	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	4f
	addb	$'a' - '9' - 1, %al
4:	call	say
	loop	hex
	movb	$'\n', %al
	call	say
5:	hlt
	jmp	5b

text:	lodsb
	testb	%al, %al
	jz	6f
	call	say
	jmp	text
6:	ret

say:	pushw	%ax				/* AL to the first serial port */
	movw	$0x3fd, %dx
7:	inb	%dx, %al
	testb	$0x20, %al
	jz	7b
	popw	%ax
	movw	$0x3f8, %dx
	outb	%al, %dx
	ret

said_sum:	.asciz "\nsum "
said_error:	.asciz "\nerror "
sum:	.long	0
done:	.word	0
drive:	.byte	0
	.balign	4
packet:	.byte	16, 0
	.word	64, 0, BUFFER
lba:	.long	64, 0
	.org	510
	.word	0xaa55
