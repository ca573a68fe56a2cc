// Entry, per the Linux arm64 boot protocol (Documentation/arch/arm64/booting.rst): x0 holds the
// device tree's address, MMU and data cache are off, interrupts masked; at EL1, EL2 or EL3, at any
// base of whole pages. (Loaders know of 2 MiB-aligned ones, and the header promises no more. Firmware
// of the Raspberry Pi places what it takes for a kernel at 0x80000.) Does as little as can be: down to EL1h, first page tables, MMU on, jump to the
// address that the image is linked at; and from there, once Rust (slide.rs) has said where, to
// the one that this boot runs at. All of it is gone once the application runs.
//
// Until the jump nothing is stored but the page tables. A store with the MMU off goes round the
// caches, which may hold older lines of the same memory (a host's, under a hypervisor). So the
// tables' lines are invalidated before (a dirty one would be written over them) and after (one
// that was fetched meanwhile would be read instead of them).
//
// x19 device tree   x20 level entered at   x21 image, physical   x22 tables, physical

// Stage 1 descriptors (Arm ARM, section D8.3).
.equ PAGE_TEXT,   0x0040000000000787   // page, normal, inner shareable, AF, read only, UXN
.equ PAGE_RODATA, 0x0060000000000787   // the same, PXN
.equ PAGE_DATA,   0x0060000000000707   // the same, writable
.equ BLOCK_ENTRY, 0x0040000000000785   // 2 MiB block, as PAGE_TEXT
.equ TABLE,       0x3

.equ LANDING,     80                    // bytes of `Landing` in slide.rs, and four registers

// 0: device nGnRE, 1: normal write-back, 2: non-cacheable, 3: normal write-back, tagged where there
// are tags (slide.rs)
.equ MAIR,        0x00000000ff44ff04
// T0SZ 16, T1SZ 16, 4 KiB granules, walks write-back and inner shareable; IPS is added below.
.equ TCR,         0x00000000b5103510
.equ TCR_EPD0,    1 << 7
.equ SCTLR_OFF,   0x30d00800           // what is RES1, MMU and caches off
.equ SCTLR_ON,    0x30d8181d           // and M, C, SA, SA0, I, WXN

.section .init.head, "ax"
.global _start
_start:
    b       enter
    .long   0
    .quad   0                          // text_offset: none, any 2 MiB-aligned base
    .quad   __image_size
    .quad   0xa                        // little endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

.section .init, "ax"
enter:
    msr     daifset, #0xf
    mov     x19, x0
    adrp    x21, _start
    mrs     x20, CurrentEL
    lsr     x20, x20, #2
    cmp     x20, #2
    b.eq    from_el2
    b.lo    at_el1

// Nobody is below us: we are the firmware. Non-secure from here on; PSCI and SMC do not exist.
// Nobody holds the other cores back either: all but the first sleep for good.
from_el3:
    mrs     x9, mpidr_el1
    ldr     x10, =0xff00ffffff         // its affinity, all four levels
    tst     x9, x10
    b.ne    park
    mov     x9, #0x5b1                 // SCR_EL3: NS, RES1, SMD, HCE, RW
    movk    x9, #0x0003, lsl #16       // APK, API: pointer authentication is not trapped
    mrs     x10, id_aa64mmfr0_el1
    ubfx    x10, x10, #56, #4
    cbz     x10, 1f
    orr     x9, x9, #1 << 27           // FGTEn: nor are the fine-grained traps of EL2 (FEAT_FGT)
1:  mrs     x10, id_aa64mmfr1_el1
    ubfx    x10, x10, #40, #4
    cbz     x10, 1f
    orr     x9, x9, #1 << 38           // HXEn: nor HCRX_EL2 (FEAT_HCX)
1:  mrs     x10, id_aa64pfr1_el1
    ubfx    x10, x10, #8, #4
    cmp     x10, #2
    b.lo    1f
    orr     x9, x9, #1 << 26           // ATA: nor tags (FEAT_MTE2)
1:  msr     scr_el3, x9
    mov     x9, #0x100                 // CPTR_EL3: EZ where there is SVE, trap nothing
    msr     cptr_el3, x9
    msr     mdcr_el3, xzr
    mrs     x10, id_aa64pfr0_el1
    adrp    x11, __elone_early_distributor // a board's fact: 0 where there is none
    ldr     x11, [x11, :lo12:__elone_early_distributor]
    ubfx    x12, x10, #24, #4
    cbz     x12, 2f
    mov     x9, #0xf                   // ICC_SRE_EL3: SRE, bypass off, Enable
    msr     s3_6_c12_c12_5, x9
    isb
    cbz     x11, 4f
    ldr     w9, [x11]                  // GICD_CTLR.DS: one security state from now on
    orr     w9, w9, #0x40
    str     w9, [x11]
    b       4f
2:  cbz     x11, 4f                    // GICv2: all interrupts to group 1
    ldr     w9, [x11, #4]              // GICD_TYPER.ITLinesNumber
    and     w9, w9, #0x1f
    add     x12, x11, #0x80
    mov     w13, #-1
3:  str     w13, [x12], #4
    subs    w9, w9, #1
    b.pl    3b
    adrp    x12, __elone_early_cpu_interface
    ldr     x12, [x12, :lo12:__elone_early_cpu_interface]
    cbz     x12, 4f
    mov     w13, #0xf0                 // GICC_PMR: non-secure priorities get through
    str     w13, [x12, #4]
4:  mrs     x12, cntfrq_el0            // what the counter counts in a second: firmware says it
    cbnz    x12, 5f
    adrp    x12, __elone_early_counter_frequency
    ldr     x12, [x12, :lo12:__elone_early_counter_frequency]
    msr     cntfrq_el0, x12
5:  ubfx    x12, x10, #8, #4           // is there an EL2?
    mov     x9, #0x3c5                 // SPSR: EL1h, DAIF masked
    adr     x13, at_el1
    cbz     x12, 6f
    ldr     x9, =0x30c50830            // SCTLR_EL2: what is RES1, all else off
    msr     sctlr_el2, x9
    mov     x9, #0x3c9                 // SPSR: EL2h, DAIF masked
    adr     x13, from_el2
6:  ldr     x12, =SCTLR_OFF
    msr     sctlr_el1, x12
    msr     spsr_el3, x9
    msr     elr_el3, x13
    eret

park:
    wfe
    b       park

// No hypervisor below us: nothing is trapped, nothing translated a second time.
from_el2:
    mov     x9, #1 << 31               // HCR_EL2: RW
    movk    x9, #0x0300, lsl #32       // APK, API
    mrs     x10, id_aa64pfr1_el1
    ubfx    x10, x10, #8, #4
    cmp     x10, #2
    b.lo    1f
    orr     x9, x9, #1 << 56           // ATA (FEAT_MTE2)
1:  msr     hcr_el2, x9
    isb
    mrs     x10, hcr_el2               // where E2H is fixed to 1, registers have their VHE form
    ldr     x12, =SCTLR_OFF
    tbnz    x10, #34, 1f
    msr     sctlr_el1, x12
    mov     x9, #0x3                   // CNTHCTL_EL2: EL1PCTEN, EL1PCEN
    mov     x11, #0x33ff               // CPTR_EL2: RES1, and SVE
    b       2f
1:  msr     s3_5_c1_c0_0, x12          // SCTLR_EL12
    mov     x9, #0xc00                 // CNTHCTL_EL2: EL1PCTEN, EL1PTEN
    mov     x11, #0x300000             // CPTR_EL2: FPEN
2:  msr     cnthctl_el2, x9
    msr     cptr_el2, x11
    msr     cntvoff_el2, xzr
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9
    mrs     x10, id_aa64dfr0_el1       // MDCR_EL2: all counters to EL1, where there is a PMU
    ubfx    x10, x10, #8, #4
    add     x11, x10, #1
    mov     x9, xzr
    tst     x11, #0xe                  // 0: none, 15: not architected
    b.eq    3f
    mrs     x9, pmcr_el0
    ubfx    x9, x9, #11, #5
3:  msr     mdcr_el2, x9
    mrs     x10, id_aa64pfr0_el1       // GICv3: system registers for EL1
    ubfx    x10, x10, #24, #4
    cbz     x10, 4f
    mrs     x9, s3_4_c12_c9_5          // ICC_SRE_EL2: SRE, Enable
    orr     x9, x9, #0x1
    orr     x9, x9, #0x8
    msr     s3_4_c12_c9_5, x9
    isb
    mrs     x9, s3_4_c12_c9_5
    tbz     x9, #0, 4f
    msr     s3_4_c12_c11_0, xzr        // ICH_HCR_EL2
4:  mrs     x10, id_aa64mmfr0_el1      // FEAT_FGT: fine-grained traps off
    ubfx    x10, x10, #56, #4
    cbz     x10, 5f
    msr     s3_4_c1_c1_4, xzr          // HFGRTR_EL2, HFGWTR_EL2, HFGITR_EL2
    msr     s3_4_c1_c1_5, xzr
    msr     s3_4_c1_c1_6, xzr
    msr     s3_4_c3_c1_4, xzr          // HDFGRTR_EL2, HDFGWTR_EL2
    msr     s3_4_c3_c1_5, xzr
5:  mrs     x10, id_aa64mmfr1_el1      // FEAT_HCX
    ubfx    x10, x10, #40, #4
    cbz     x10, 6f
    msr     s3_4_c1_c2_2, xzr          // HCRX_EL2
6:  mov     x9, #0x3c5                 // SPSR_EL2: EL1h, DAIF masked
    adr     x10, at_el1
    msr     spsr_el2, x9
    msr     elr_el2, x10
    eret

at_el1:
    msr     spsel, #1
    ldr     x9, =SCTLR_OFF
    msr     sctlr_el1, x9
    mov     x9, #0x300000              // CPACR_EL1: FPEN
    msr     cpacr_el1, x9
    isb

    // Eight tables: three that map the code that turns the MMU on where it runs (TTBR0), five for the
    // image (TTBR1).
    adrp    x22, __tables_start
    add     x23, x22, #8 * 4096
    bl      invalidate
    mov     x9, x22
1:  stp     xzr, xzr, [x9], #16
    cmp     x9, x23
    b.lo    1b

    adr     x13, turn_on               // TTBR0: level 0, 1, 2; the 2 MiB block that it is in
    ubfx    x9, x13, #39, #9
    add     x11, x22, #4096
    add     x10, x11, #TABLE
    str     x10, [x22, x9, lsl #3]
    ubfx    x9, x13, #30, #9
    add     x10, x11, #4096
    add     x12, x10, #TABLE
    str     x12, [x11, x9, lsl #3]
    ubfx    x9, x13, #21, #9
    and     x13, x13, #0xffffffffffe00000
    ldr     x12, =BLOCK_ENTRY
    orr     x12, x12, x13
    str     x12, [x10, x9, lsl #3]

    add     x24, x22, #3 * 4096        // TTBR1: level 0, 1, 2, and two of level 3
    add     x10, x24, #4096
    add     x11, x10, #TABLE
    str     x11, [x24]
    add     x12, x10, #4096
    add     x11, x12, #TABLE
    str     x11, [x10]
    add     x25, x12, #4096
    add     x10, x25, #TABLE
    add     x11, x10, #4096
    stp     x10, x11, [x12]

.macro map first, end, attributes
    adrp    x0, \first
    adrp    x1, \end
    ldr     x2, =\attributes
    bl      map_pages
.endm
    map     _start, __text_end, PAGE_TEXT
    map     __text_end, __rodata_end, PAGE_RODATA
    map     __rodata_end, __image_end, PAGE_DATA
    bl      invalidate

    ldr     x9, =MAIR
    msr     mair_el1, x9
    ldr     x9, =TCR
    mrs     x10, id_aa64mmfr0_el1      // IPS: what the core has, 48 bits at most
    and     x10, x10, #0xf
    mov     x11, #5
    cmp     x10, x11
    csel    x10, x10, x11, lo
    orr     x9, x9, x10, lsl #32
    msr     tcr_el1, x9
    msr     ttbr0_el1, x22
    msr     ttbr1_el1, x24
    dsb     sy
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    adrp    x10, upper
    add     x10, x10, :lo12:upper
    sub     x10, x10, x21
    mov     x9, #0xffff000000000000    // __image_virtual_base
    add     x10, x10, x9
    ldr     x11, =SCTLR_ON
    b       turn_on

// All that runs where it lies with the MMU on; within one page, so that one block is enough wherever
// that is.
.balign 16
turn_on:
    msr     sctlr_el1, x11
    isb
    br      x10

// Maps the image's pages from x0 to x1 (physical) with the attributes x2.
map_pages:
    sub     x3, x0, x21
    add     x3, x25, x3, lsr #9        // 8 bytes a page of 4096
1:  cmp     x0, x1
    b.hs    2f
    orr     x4, x0, x2
    str     x4, [x3], #8
    add     x0, x0, #4096
    b       1b
2:  ret

// Invalidates the cache lines of the tables, x22 to x23, to the point of coherency.
invalidate:
    dsb     sy
    mrs     x0, ctr_el0
    ubfx    x0, x0, #16, #4            // DminLine, in words
    mov     x1, #4
    lsl     x1, x1, x0
    mov     x2, x22
1:  dc      ivac, x2
    add     x2, x2, x1
    cmp     x2, x23
    b.lo    1b
    dsb     sy
    ret

// At the address that the image is linked at. Nothing low is mapped from here on, but what Rust is
// to look at for a moment: the device tree, which may not be where we were told it is.
//
// x19 device tree   x20 level entered at   x21 image, physical   x26 whether the tree was tried
upper:
    mrs     x10, tcr_el1
    orr     x10, x10, #TCR_EPD0
    msr     tcr_el1, x10
    msr     ttbr0_el1, xzr
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    adrp    x9, __bss_start
    add     x9, x9, :lo12:__bss_start
    adrp    x10, __bss_end
    add     x10, x10, :lo12:__bss_end
1:  cmp     x9, x10
    b.hs    2f
    stp     xzr, xzr, [x9], #16
    b       1b
2:  adrp    x9, early_vectors
    add     x9, x9, :lo12:early_vectors
    msr     vbar_el1, x9
    mov     x26, xzr
    mov     x0, x19

// x0: the device tree, or what says that there is none.
choose:
    adrp    x9, __stack_top
    sub     sp, x9, #LANDING
    stp     x19, x20, [sp, #48]        // what a fault in the middle of Rust has no other way to know
    stp     x21, x26, [sp, #64]
    mov     x29, xzr
    mov     x30, xzr
    mov     x1, x21
    mov     x2, sp
    bl      elone_hal_slide

// Where this boot runs. Code runs on SP_EL0, exceptions are taken on SP_EL1: a stack that ran over
// cannot keep its own fault from being reported.
    mov     x9, sp
    ldp     x10, x11, [x9]             // slide, SCTLR_EL1
    ldp     x12, x13, [x9, #16]        // tops of the stacks: for exceptions, for everything else
    ldp     x14, x15, [x9, #32]        // the key of return addresses
    adrp    x9, __stack_top            // nothing of it, and of what else was drawn, stays behind
    sub     x17, x9, #4096
4:  stp     xzr, xzr, [x17], #16
    cmp     x17, x9
    b.lo    4b
    adr     x16, 1f
    add     x16, x16, x10
    br      x16
1:  hint    #36                        // bti j
    adrp    x9, vectors
    add     x9, x9, :lo12:vectors
    msr     vbar_el1, x9
    mov     sp, x12
    msr     spsel, #0
    mov     sp, x13
    tbz     x11, #31, 2f               // EnIA
    msr     s3_0_c2_c1_0, x14          // APIAKeyLo_EL1, APIAKeyHi_EL1
    msr     s3_0_c2_c1_1, x15
2:  msr     sctlr_el1, x11
    isb
    mov     x14, xzr
    mov     x15, xzr

    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
    mov     x1, x21
    mov     x2, x20
    b       begin

// The first frame: nobody called this, and a report's backtrace and a debugger's end here. It has to
// be there when they look, as the rest of this file is not.
.cfi_sections .debug_frame
.pushsection .text.begin, "ax"
begin:
    .cfi_startproc
    .cfi_undefined x30
    bl      elone_hal_enter
    brk     #0                         // it does not return
    .cfi_endproc
.popsection

// There is no memory where the device tree should be, or something else is wrong with it. Once more
// without it: when the boot comes to read it for good, there is a console to tell of it.
not_there:
    adrp    x9, __stack_top
    sub     x9, x9, #LANDING
    ldp     x19, x20, [x9, #48]
    ldp     x21, x26, [x9, #64]
    cbnz    x26, park
    mov     x26, #1
    mov     x0, #-1                    // `NO_TREE` in slide.rs
    b       choose

.balign 2048
early_vectors:
.rept 16
    b       not_there
    .balign 128
.endr
