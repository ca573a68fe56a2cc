// To EL0 and back, as a call that returns (`run` in user.rs): the kernel's registers wait on its own
// stack, and where that is, and the application's frame, on SP_EL1, which no EL0 can reach.

.section .text.user, "ax"

// x0: the application's frame. Returns the kind of the exception that ended its turn.
.global elone_hal_run_user
elone_hal_run_user:
    hint    #25                        // paciasp
    stp     x29, x30, [sp, #-160]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    msr     daifset, #0x7              // what comes now comes when EL0 runs
    mov     x9, sp
    msr     spsel, #1
    stp     x9, x0, [sp, #-16]!
    load_rest x0
    ldp     x2, x3, [x0, #16]
    ldp     x0, x1, [x0]
    eret
    dsb     nsh                        // never reached: for cores that guess on past an eret
    isb

// x1: the kind. On the stack: x0 and x1, then what `elone_hal_run_user` left.
leave_application:
    ldr     x0, [sp, #24]
    stp     x2, x3, [x0, #16]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    save_rest x0
    msr     fpcr, xzr                  // the kernel's own rounding
    ldr     x9, [sp], #16
    msr     spsel, #0
    mov     sp, x9
    msr     daifclr, #0x4              // errors from the bus are told at once, as before
    mov     x0, x1
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #160
    hint    #29                        // autiasp
    ret

// Copies by what EL0 itself may do (`ldtr`, `sttr`: Arm ARM, section C6.2): where the application
// has no access the copy faults, PAN or not. x0: theirs, x1: ours, x2: bytes.
.global elone_hal_read_user
elone_hal_read_user:
    subs    x2, x2, #8
    b.lo    2f
1:  ldtr    x3, [x0]
    str     x3, [x1], #8
    add     x0, x0, #8
    subs    x2, x2, #8
    b.hs    1b
2:  adds    x2, x2, #8
    b.eq    4f
3:  ldtrb   w3, [x0]
    strb    w3, [x1], #1
    add     x0, x0, #1
    subs    x2, x2, #1
    b.ne    3b
4:  ret

// x0: theirs, x1: ours, x2: bytes.
.global elone_hal_write_user
elone_hal_write_user:
    subs    x2, x2, #8
    b.lo    2f
1:  ldr     x3, [x1], #8
    sttr    x3, [x0]
    add     x0, x0, #8
    subs    x2, x2, #8
    b.hs    1b
2:  adds    x2, x2, #8
    b.eq    4f
3:  ldrb    w3, [x1], #1
    sttrb   w3, [x0]
    add     x0, x0, #1
    subs    x2, x2, #1
    b.ne    3b
4:  ret
