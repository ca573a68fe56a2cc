// What a frame holds, and in which order (`Frame` in exception.rs knows the same offsets): saved
// and loaded by every exception, whoever it came from.

.equ FRAME, 816
.equ FRAME_X30, 240                    // and sp beside it
.equ FRAME_ELR, 256                    // and spsr
.equ FRAME_ESR, 272                    // and far
.equ FRAME_Q, 288
.equ FRAME_FPSR, 800                   // and fpcr

// x4 to x29. The first four are saved and loaded by whoever needs them to work with.
.macro each_pair operation, base
    \operation x4, x5, [\base, #32]
    \operation x6, x7, [\base, #48]
    \operation x8, x9, [\base, #64]
    \operation x10, x11, [\base, #80]
    \operation x12, x13, [\base, #96]
    \operation x14, x15, [\base, #112]
    \operation x16, x17, [\base, #128]
    \operation x18, x19, [\base, #144]
    \operation x20, x21, [\base, #160]
    \operation x22, x23, [\base, #176]
    \operation x24, x25, [\base, #192]
    \operation x26, x27, [\base, #208]
    \operation x28, x29, [\base, #224]
.endm

.macro each_vector_pair operation, base
    \operation q0, q1, [\base, #FRAME_Q]
    \operation q2, q3, [\base, #FRAME_Q + 32]
    \operation q4, q5, [\base, #FRAME_Q + 64]
    \operation q6, q7, [\base, #FRAME_Q + 96]
    \operation q8, q9, [\base, #FRAME_Q + 128]
    \operation q10, q11, [\base, #FRAME_Q + 160]
    \operation q12, q13, [\base, #FRAME_Q + 192]
    \operation q14, q15, [\base, #FRAME_Q + 224]
    \operation q16, q17, [\base, #FRAME_Q + 256]
    \operation q18, q19, [\base, #FRAME_Q + 288]
    \operation q20, q21, [\base, #FRAME_Q + 320]
    \operation q22, q23, [\base, #FRAME_Q + 352]
    \operation q24, q25, [\base, #FRAME_Q + 384]
    \operation q26, q27, [\base, #FRAME_Q + 416]
    \operation q28, q29, [\base, #FRAME_Q + 448]
    \operation q30, q31, [\base, #FRAME_Q + 480]
.endm

// All but x0 to x3. Uses x2 and x3.
.macro save_rest base
    each_pair stp, \base
    mrs     x2, sp_el0
    stp     x30, x2, [\base, #FRAME_X30]
    mrs     x2, elr_el1
    mrs     x3, spsr_el1
    stp     x2, x3, [\base, #FRAME_ELR]
    mrs     x2, esr_el1
    mrs     x3, far_el1
    stp     x2, x3, [\base, #FRAME_ESR]
    each_vector_pair stp, \base
    mrs     x2, fpsr
    mrs     x3, fpcr
    str     x2, [\base, #FRAME_FPSR]
    str     x3, [\base, #FRAME_FPSR + 8]
.endm

// All but x0 to x3. Uses x2 and x3.
.macro load_rest base
    ldr     x2, [\base, #FRAME_FPSR]
    ldr     x3, [\base, #FRAME_FPSR + 8]
    msr     fpsr, x2
    msr     fpcr, x3
    each_vector_pair ldp, \base
    ldp     x2, x3, [\base, #FRAME_ELR]
    msr     elr_el1, x2
    msr     spsr_el1, x3
    ldp     x30, x2, [\base, #FRAME_X30]
    msr     sp_el0, x2
    each_pair ldp, \base
.endm
