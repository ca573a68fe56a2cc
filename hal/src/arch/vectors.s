// Exception vectors (Arm ARM, section D1.3.1). Each saves everything a handler could change, the
// SIMD registers too, and hands the frame to Rust; nothing is decided here.
//
// Ordinary code runs on SP_EL0 (the first four vectors), so that exceptions find a stack of their
// own, SP_EL1. The next four are exceptions while one is handled: they start afresh on the last
// stack, since they may come from the stack they would be saved on.

.equ FRAME, 816

.macro vector number
    .balign 128
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    mov     x0, #\number
    mov     x1, sp
    b       take_exception
.endm

.macro last_vector number
    .balign 128
    msr     tpidr_el1, x0
    adrp    x0, __last_stack_top
    mov     sp, x0
    mrs     x0, tpidr_el1
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    mov     x0, #\number
    mov     x1, sp
    b       take_exception
.endm

.section .vectors, "ax"
.balign 2048
.global vectors
vectors:
    vector  0
    vector  1
    vector  2
    vector  3
    last_vector 4
    last_vector 5
    last_vector 6
    last_vector 7
    vector  8
    vector  9
    vector  10
    vector  11
    vector  12
    vector  13
    vector  14
    vector  15

.section .text.vectors, "ax"
take_exception:
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, sp_el0
    stp     x30, x2, [sp, #240]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [sp, #256]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [sp, #272]
    stp     q0, q1, [sp, #288]
    stp     q2, q3, [sp, #320]
    stp     q4, q5, [sp, #352]
    stp     q6, q7, [sp, #384]
    stp     q8, q9, [sp, #416]
    stp     q10, q11, [sp, #448]
    stp     q12, q13, [sp, #480]
    stp     q14, q15, [sp, #512]
    stp     q16, q17, [sp, #544]
    stp     q18, q19, [sp, #576]
    stp     q20, q21, [sp, #608]
    stp     q22, q23, [sp, #640]
    stp     q24, q25, [sp, #672]
    stp     q26, q27, [sp, #704]
    stp     q28, q29, [sp, #736]
    stp     q30, q31, [sp, #768]
    mrs     x2, fpsr
    mrs     x3, fpcr
    str     x2, [sp, #800]
    str     x3, [sp, #808]

    bl      elone_hal_exception

    ldr     x2, [sp, #800]
    ldr     x3, [sp, #808]
    msr     fpsr, x2
    msr     fpcr, x3
    ldp     q0, q1, [sp, #288]
    ldp     q2, q3, [sp, #320]
    ldp     q4, q5, [sp, #352]
    ldp     q6, q7, [sp, #384]
    ldp     q8, q9, [sp, #416]
    ldp     q10, q11, [sp, #448]
    ldp     q12, q13, [sp, #480]
    ldp     q14, q15, [sp, #512]
    ldp     q16, q17, [sp, #544]
    ldp     q18, q19, [sp, #576]
    ldp     q20, q21, [sp, #608]
    ldp     q22, q23, [sp, #640]
    ldp     q24, q25, [sp, #672]
    ldp     q26, q27, [sp, #704]
    ldp     q28, q29, [sp, #736]
    ldp     q30, q31, [sp, #768]
    ldp     x2, x3, [sp, #256]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x30, x2, [sp, #240]
    msr     sp_el0, x2
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    add     sp, sp, #FRAME
    eret
