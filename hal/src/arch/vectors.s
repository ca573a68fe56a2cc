// Exception vectors (Arm ARM, section D1.3.1). Each saves everything a handler could change, the
// SIMD registers too, and hands the frame to Rust; nothing is decided here.
//
// Ordinary code runs on SP_EL0 (the first four vectors), so that exceptions find a stack of their
// own, SP_EL1. The next four are exceptions while one is handled: they start afresh on the last
// stack, since they may come from the stack they would be saved on. The last four would be those of
// AArch32, which nothing runs.

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
    adrp    x0, ELONE_LAST_STACK
    ldr     x0, [x0, :lo12:ELONE_LAST_STACK]
    mov     sp, x0
    mrs     x0, tpidr_el1
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    mov     x0, #\number
    mov     x1, sp
    b       take_exception
.endm

// From EL0: back to whoever let it run (user.s), who lies on this stack.
.macro from_application kind
    .balign 128
    stp     x0, x1, [sp, #-16]!
    mov     x1, #\kind
    b       leave_application
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
    from_application 0
    from_application 1
    from_application 2
    from_application 3
    vector  12
    vector  13
    vector  14
    vector  15

.section .text.vectors, "ax"
take_exception:
    save_rest sp
    bl      elone_hal_exception
    load_rest sp
    ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    add     sp, sp, #FRAME
    eret
