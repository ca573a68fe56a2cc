// memcpy, memmove, memset, memcmp and bcmp, which compiled code calls of its own accord. The
// compiler brings some that go by aligned words; these use that normal memory may be accessed at
// any address, in up to 64 bytes at a time. Never for a device's registers.
//
// Everything is loaded before anything is stored, or what is stored lies behind what is still to
// be loaded, so memcpy is memmove. Ends may be copied twice: cheaper than a loop for the rest.

.section .text.memory, "ax"
.global memcpy
.global memmove
memcpy:
memmove:
    add     x4, x1, x2                 // the ends
    add     x5, x0, x2
    cmp     x2, #16
    b.hi    3f
    tbz     x2, #3, 1f                 // 8 to 15 (16 comes here by the next line)
0:  ldr     x6, [x1]
    ldr     x7, [x4, #-8]
    str     x6, [x0]
    str     x7, [x5, #-8]
    ret
1:  tbnz    x2, #4, 0b
    tbz     x2, #2, 2f                 // 4 to 7
    ldr     w6, [x1]
    ldr     w7, [x4, #-4]
    str     w6, [x0]
    str     w7, [x5, #-4]
    ret
2:  cbz     x2, 9f                     // 1 to 3
    lsr     x8, x2, #1
    ldrb    w6, [x1]
    ldrb    w7, [x4, #-1]
    ldrb    w9, [x1, x8]
    strb    w6, [x0]
    strb    w9, [x0, x8]
    strb    w7, [x5, #-1]
    ret
3:  cmp     x2, #64
    b.hi    5f
    ldr     q0, [x1]                   // 17 to 64
    ldr     q1, [x4, #-16]
    cmp     x2, #32
    b.ls    4f
    ldr     q2, [x1, #16]
    ldr     q3, [x4, #-32]
    str     q2, [x0, #16]
    str     q3, [x5, #-32]
4:  str     q0, [x0]
    str     q1, [x5, #-16]
    ret
5:  sub     x6, x0, x1
    cmp     x6, x2
    b.lo    7f                         // the target begins within the source: from the end
    mov     x3, x0
    ldp     q4, q5, [x4, #-64]
    ldp     q6, q7, [x4, #-32]
6:  ldp     q0, q1, [x1]
    ldp     q2, q3, [x1, #32]
    add     x1, x1, #64
    stp     q0, q1, [x3]
    stp     q2, q3, [x3, #32]
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hi    6b
    stp     q4, q5, [x5, #-64]
    stp     q6, q7, [x5, #-32]
    ret
7:  ldp     q4, q5, [x1]
    ldp     q6, q7, [x1, #32]
8:  ldp     q0, q1, [x4, #-64]
    ldp     q2, q3, [x4, #-32]
    sub     x4, x4, #64
    stp     q0, q1, [x5, #-64]
    stp     q2, q3, [x5, #-32]
    sub     x5, x5, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hi    8b
    stp     q4, q5, [x0]
    stp     q6, q7, [x0, #32]
9:  ret

.global memset
memset:
    add     x5, x0, x2
    dup     v0.16b, w1
    cmp     x2, #16
    b.hs    3f
    umov    x6, v0.d[0]
    tbz     x2, #3, 1f                 // 8 to 15
    str     x6, [x0]
    str     x6, [x5, #-8]
    ret
1:  tbz     x2, #2, 2f                 // 4 to 7
    str     w6, [x0]
    str     w6, [x5, #-4]
    ret
2:  cbz     x2, 6f                     // 1 to 3
    lsr     x8, x2, #1
    strb    w6, [x0]
    strb    w6, [x0, x8]
    strb    w6, [x5, #-1]
    ret
3:  mov     x3, x0                     // 16 or more
    subs    x2, x2, #32
    b.lo    5f
4:  stp     q0, q0, [x3], #32
    subs    x2, x2, #32
    b.hs    4b
5:  tbz     x2, #4, 7f                 // 16 to 31 left
    str     q0, [x3]
7:  str     q0, [x5, #-16]
6:  ret

.global memcmp
.global bcmp
memcmp:
bcmp:
1:  subs    x2, x2, #8
    b.lo    2f
    ldr     x3, [x0], #8
    ldr     x4, [x1], #8
    cmp     x3, x4
    b.eq    1b
    rev     x3, x3                     // the first byte decides
    rev     x4, x4
    cmp     x3, x4
    cset    w0, hi
    csinv   w0, w0, wzr, hs
    ret
2:  adds    x2, x2, #8
3:  b.eq    4f
    ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    subs    w3, w3, w4
    b.ne    5f
    subs    x2, x2, #1
    b       3b
4:  mov     w0, wzr
    ret
5:  mov     w0, w3
    ret
