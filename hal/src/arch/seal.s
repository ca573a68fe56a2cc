// The seal's last step (seal.rs).

.section .text.seal, "ax"

// x0: the entry of the page that holds `cut`, x1: the one behind which tables are written. Returns when
// neither is known to anybody any more.
.global elone_hal_seal
elone_hal_seal:
    hint    #34                        // bti c
    hint    #25                        // paciasp
    stp     x29, x30, [sp, #-32]!
    mov     x29, sp
    mrs     x3, daif
    str     x3, [sp, #16]
    msr     daifset, #0x2              // few instructions are left that nothing must come between
    adr     x2, elone_hal_sealed
    adrp    x16, cut
    add     x16, x16, :lo12:cut
    br      x16
.global elone_hal_sealed
elone_hal_sealed:
    hint    #36                        // bti j
    dsb     nsh
    isb
    ldr     x3, [sp, #16]
    msr     daif, x3
    ldp     x29, x30, [sp], #32
    hint    #29                        // autiasp
    ret

// Cuts the ground from under itself. Should the core lose its translation before it has got to `tlbi`,
// as it may if its virtual machine is held just there, that is a fault, and the machine restarts. Once translations are forgotten the next instruction faults; if
// that is where the fault comes from, `elone_hal_exception` goes on at x2.
.section .init, "ax"
.balign 64
cut:
    hint    #36                        // bti j
    str     xzr, [x0]
    str     xzr, [x1]
    dsb     ishst
    tlbi    vmalle1
.global elone_hal_ground
elone_hal_ground:
    dsb     nsh
    isb
    br      x2                         // only where this page was left mapped on purpose
.global elone_hal_ground_end
elone_hal_ground_end:
