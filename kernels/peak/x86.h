/* x86-64: what one step of each unit is. Included by loops.c, which says what the names mean.
 *
 * Registers 0 and 1 hold the left operands, 2 and 3 the right ones, 4 to 15 twelve sums: two units at a latency of five
 * cycles need ten. Nothing above register 15 is touched but by a unit that needs AVX-512, of which a compiler that is
 * not told of it makes no use either.
 */
#define S_(x) #x
#define S(x) S_(x)

#if defined(UNIT_AVX512_FP64) || defined(UNIT_AVX512_FP32) || defined(UNIT_AVX512_FP16) || \
    defined(UNIT_AVX512_BF16) || defined(UNIT_AVX512_VNNI) || defined(UNIT_AVX512_MADDUBS)
#define WIDTH 64
#define V(n) "%%zmm" S(n)
#else
#define WIDTH 32
#define V(n) "%%ymm" S(n)
#endif

/* STEP(left, right, sum): one instruction, or the few that do its work. */
#if defined(UNIT_AVX2_FP64) || defined(UNIT_AVX512_FP64)
typedef double element_t, stored_t, sum_t;
#define DEPTH 1
#define STEP(l, r, s) "vfmadd231pd " V(r) ", " V(l) ", " V(s) "\n"
#elif defined(UNIT_AVX2_FP32) || defined(UNIT_AVX512_FP32)
typedef float element_t, stored_t, sum_t;
#define DEPTH 1
#define STEP(l, r, s) "vfmadd231ps " V(r) ", " V(l) ", " V(s) "\n"
#elif defined(UNIT_AVX512_FP16)
typedef uint16_t element_t, stored_t;
typedef float sum_t;
#define DEPTH 1
#define ROWS 2
#define STEP(l, r, s) "vfmadd231ph " V(r) ", " V(l) ", " V(s) "\n"
#define SEGMENT 2048 /* FP16 counts to 2048 without rounding */
#elif defined(UNIT_AVX512_BF16)
typedef uint16_t element_t, stored_t;
typedef float sum_t;
#define DEPTH 2
#define STEP(l, r, s) "vdpbf16ps " V(r) ", " V(l) ", " V(s) "\n"
#elif defined(UNIT_AVX512_VNNI)
typedef int8_t element_t, stored_t;
typedef int32_t sum_t;
#define DEPTH 4
#define NEGATIVE_RIGHT
#define STEP(l, r, s) "vpdpbusd " V(r) ", " V(l) ", " V(s) "\n"
#elif defined(UNIT_AVX_VNNI)
typedef int8_t element_t, stored_t;
typedef int32_t sum_t;
#define DEPTH 4
#define NEGATIVE_RIGHT
#define STEP(l, r, s) "%{vex%} vpdpbusd " V(r) ", " V(l) ", " V(s) "\n"
#elif defined(UNIT_AVX2_MADDUBS) || defined(UNIT_AVX512_MADDUBS)
/* Unsigned by signed bytes into pairs of int16, those into int32. The pairs saturate: exact for seven bits alone. */
typedef int8_t element_t, stored_t;
typedef int32_t sum_t;
#define DEPTH 4
#define NEGATIVE_RIGHT
#define SIX
#define STEP(s, t)                                 \
    "vpmaddubsw " V(2) ", " V(0) ", " V(t) "\n"    \
    "vpmaddwd " V(3) ", " V(t) ", " V(t) "\n"      \
    "vpaddd " V(t) ", " V(s) ", " V(s) "\n"
#elif defined(UNIT_AVX2_MADDWD)
/* Bytes widened to int16 beforehand: exact for every int8. */
typedef int8_t element_t;
typedef int16_t stored_t;
typedef int32_t sum_t;
#define DEPTH 2
#define SIX
#define STEP(s, t)                              \
    "vpmaddwd " V(2) ", " V(0) ", " V(t) "\n"   \
    "vpaddd " V(t) ", " V(s) ", " V(s) "\n"
#elif defined(UNIT_AMX_BF16) || defined(UNIT_AMX_FP16)
#define AMX
typedef uint16_t element_t, stored_t;
typedef float sum_t;
#define DEPTH 32
#if defined(UNIT_AMX_BF16)
#define STEP(s) "tdpbf16ps %%tmm7, %%tmm6, %%tmm" S(s) "\n"
#else
#define STEP(s) "tdpfp16ps %%tmm7, %%tmm6, %%tmm" S(s) "\n"
#endif
#elif defined(UNIT_AMX_INT8)
#define AMX
typedef int8_t element_t, stored_t;
typedef int32_t sum_t;
#define DEPTH 64
#define STEP(s) "tdpbssd %%tmm7, %%tmm6, %%tmm" S(s) "\n"
#else
#error "build with -DUNIT_… naming one of the units above"
#endif

#define UNROLL 4 /* turns per branch; every number of steps that loops.c asks for is a multiple of it */
#define TURNS ".p2align 5\n1:\n.rept " S(UNROLL) "\n"
#define AGAIN ".endr\ndec %[turns]\njnz 1b\n"

#if !defined(SEGMENT)
#define SEGMENT (1L << 40)
#endif

#if defined(AMX)
/* Six tiles of sums, one of each operand: a latency of 52 cycles at one product in 16 needs four. */
#include <sys/syscall.h>
#include <unistd.h>
#define LAYOUT_TILE
#undef WIDTH
#define WIDTH 1024
#define ROWS 16
#define COLUMNS 16
#define GROUPS 1
#define ARCH_REQ_XCOMP_PERM 0x1023 /* Linux, Documentation/arch/x86/xstate.rst */
#define XFEATURE_XTILEDATA 18

static int prepare_process(void) {
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ? errno : 0;
}
static void prepare_thread(void) {
    struct __attribute__((packed)) {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
}
static void finish_thread(void) { __asm__ volatile("tilerelease"); }

#define LOAD(n) "tileloadd " S(n) "*1024(%[sums],%[stride],1), %%tmm" S(n) "\n"
#define STORE(n) "tilestored %%tmm" S(n) ", " S(n) "*1024(%[sums],%[stride],1)\n"
#define EACH(line) line(0) line(1) line(2) line(3) line(4) line(5)

static void loop(const void *left, const void *right, long steps, void *sums) {
    long turns = steps / UNROLL;
    __asm__ volatile(
        "tileloadd (%[left],%[stride],1), %%tmm6\n tileloadd (%[right],%[stride],1), %%tmm7\n" EACH(LOAD)
        TURNS EACH(STEP) AGAIN EACH(STORE)
        : [turns] "+r"(turns)
        : [left] "r"(left), [right] "r"(right), [sums] "r"(sums), [stride] "r"(64L)
        : "cc", "memory");
}

#else
#define LAYOUT_LANES
#if !defined(ROWS)
#define ROWS 1
#endif
#define COLUMNS (WIDTH / (int)sizeof(stored_t) / DEPTH / ROWS)

static int prepare_process(void) { return 0; }
static void prepare_thread(void) {}
static void finish_thread(void) {}

#define AT(n) S(WIDTH) "*" S(n)
#define LOAD(place, n) "vmovups " AT(place) "(%[sums]), " V(n) "\n"
#define STORE(place, n) "vmovups " V(n) ", " AT(place) "(%[sums])\n"
#define OPERANDS \
    "vmovups (%[left]), " V(0) "\n vmovups " AT(1) "(%[left]), " V(1) "\n" \
    "vmovups (%[right]), " V(2) "\n vmovups " AT(1) "(%[right]), " V(3) "\n"

#if defined(SIX)
/* Six sums and as many registers for what is between: the only chain of dependences is an addition's single cycle. */
#define GROUPS 1
#define EACH(line) line(0, 4) line(1, 5) line(2, 6) line(3, 7) line(4, 8) line(5, 9)
#define STEPS STEP(4, 10) STEP(5, 11) STEP(6, 12) STEP(7, 13) STEP(8, 14) STEP(9, 15)
static const int16_t ones[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
#define MORE "vmovups (%[ones]), " V(3) "\n" EACH(LOAD)
#define LAST EACH(STORE)
#else
#define GROUPS 2
#define EACH(line) \
    line(0, 4) line(1, 5) line(2, 6) line(3, 7) line(4, 8) line(5, 9) line(6, 10) line(7, 11) line(8, 12) line(9, 13) \
    line(10, 14) line(11, 15)
#define STEPS \
    STEP(0, 2, 4) STEP(1, 3, 5) STEP(0, 2, 6) STEP(1, 3, 7) STEP(0, 2, 8) STEP(1, 3, 9) STEP(0, 2, 10) \
    STEP(1, 3, 11) STEP(0, 2, 12) STEP(1, 3, 13) STEP(0, 2, 14) STEP(1, 3, 15)
static const int16_t ones[1] = {0}; /* an operand of the assembly that this unit does not read */
#if defined(UNIT_AVX512_FP16)
/* Sums begin at zero in each segment and are added to the FP32 ones at its end, a two-hundredth of its time. */
#define ZERO(place, n) "vpxor %%xmm" S(n) ", %%xmm" S(n) ", %%xmm" S(n) "\n"
#define FOLD(place, n)                                                                                 \
    "vcvtph2ps %%ymm" S(n) ", %%zmm16\n vextractf64x4 $1, %%zmm" S(n) ", %%ymm17\n"                    \
    "vcvtph2ps %%ymm17, %%zmm17\n"                                                                     \
    "vaddps 128*" S(place) "(%[sums]), %%zmm16, %%zmm16\n vaddps 64+128*" S(place) "(%[sums]), %%zmm17, %%zmm17\n" \
    "vmovups %%zmm16, 128*" S(place) "(%[sums])\n vmovups %%zmm17, 64+128*" S(place) "(%[sums])\n"
#define MORE EACH(ZERO)
#define LAST EACH(FOLD)
#else
#define MORE EACH(LOAD)
#define LAST EACH(STORE)
#endif
#endif

static void loop(const void *left, const void *right, long steps, void *sums) {
    long turns = steps / UNROLL;
    __asm__ volatile(OPERANDS MORE TURNS STEPS AGAIN LAST "vzeroupper\n"
                     : [turns] "+r"(turns)
                     : [left] "r"(left), [right] "r"(right), [sums] "r"(sums), [ones] "r"(ones)
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}
#endif
