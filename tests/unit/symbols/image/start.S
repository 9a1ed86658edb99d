/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An entry point in assembly: labels with no type and no size, one of them within a function. It never runs. */
	.text
	.globl _start
_start:
	/* Nobody called: unwinders stop here. */
	.cfi_startproc
#ifdef __x86_64__
	.cfi_undefined rip
#else
	.cfi_undefined eip
#endif
	call run
local_label:
	nop
	hlt
	.cfi_endproc

	.globl typed
	.type typed, @function
typed:
	nop
label_within:
	nop
	.size typed, . - typed
	/* Behind it is code that belongs to no function. */
	nop
	nop

	.section .note.GNU-stack, "", @progbits
