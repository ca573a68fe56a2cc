// What may fail (attempt.rs): its one instruction has a name, by which the handler knows it.

// x0: where a register is. Returns its value, and in x1 whether nobody was there. A bus may say so at
// once, or late: then what comes until the access is over counts as said of it. An error from before
// is taken before, and reported as what it is.
.macro attempt name, load
.section .text.\name, "ax"
.global elone_hal_\name
elone_hal_\name:
    hint    #34                        // bti c
    mrs     x2, daif
    msr     daifclr, #0x4
    isb
    mov     x1, #0
.global elone_hal_\name\()_load
elone_hal_\name\()_load:
    \load   w0, [x0]
    dsb     sy
    isb
.global elone_hal_\name\()_over
elone_hal_\name\()_over:
    msr     daif, x2
    ret

.pushsection .device_accesses, "", %progbits
.quad   elone_hal_\name\()_load
.popsection
.endm

// w0: a function of SMCCC that takes nothing. Returns its answer, and in x1 whether the instruction does
// not exist here. The handler goes on at the last instruction then.
.macro attempt_call name, instruction
.section .text.\name, "ax"
.global elone_hal_\name
elone_hal_\name:
    hint    #34                        // bti c
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
.global elone_hal_\name\()_call
elone_hal_\name\()_call:
    \instruction #0
    mov     x1, #0
    ret
.endm

// x0 to x2: what is said to Xen, x3: which hypercall. Returns its answer, and in x1 as above. The number
// of the instruction is Xen's own (xen/include/public/arch-arm.h), as is what it may clobber.
.section .text.attempt_xen, "ax"
.global elone_hal_attempt_xen
elone_hal_attempt_xen:
    hint    #34                        // bti c
    mov     x16, x3
    mov     x3, #0
    mov     x4, #0
.global elone_hal_attempt_xen_call
elone_hal_attempt_xen_call:
    hvc     #0xea1
    mov     x1, #0
    ret

attempt attempt8, ldrb
attempt attempt32, ldr
attempt_call attempt_hvc, hvc
attempt_call attempt_smc, smc
