/* 64-bit Arm: what one step of each unit is. Included by loops.c, which says what the names mean.
 *
 * Registers 0 to 3 hold the left operands, 4 the right one, 8 to 31 twenty-four sums: four units at a latency of four
 * cycles (Neoverse V1 and V2, Apple's large cores) need sixteen.
 */
#define S_(x) #x
#define S(x) S_(x)

/* INTO(left, sum): one instruction. */
#if defined(UNIT_NEON_FP64)
typedef double element_t, stored_t, sum_t;
#define DEPTH 1
#define INTO(l, s) "fmla v" S(s) ".2d, v" S(l) ".2d, v4.2d\n"
#elif defined(UNIT_NEON_FP32)
typedef float element_t, stored_t, sum_t;
#define DEPTH 1
#define INTO(l, s) "fmla v" S(s) ".4s, v" S(l) ".4s, v4.4s\n"
#elif defined(UNIT_NEON_FP16)
typedef uint16_t element_t, stored_t;
typedef float sum_t;
#define DEPTH 1
#define INTO(l, s) "fmla v" S(s) ".8h, v" S(l) ".8h, v4.8h\n"
#define SEGMENT 2048 /* FP16 counts to 2048 without rounding */
#elif defined(UNIT_NEON_FMLAL)
/* FP16 products into FP32 sums, of the lower half of each operand. */
typedef uint16_t element_t, stored_t;
typedef float sum_t;
#define DEPTH 1
#define COLUMNS 4
#define INTO(l, s) "fmlal v" S(s) ".4s, v" S(l) ".4h, v4.4h\n"
#elif defined(UNIT_NEON_BFMMLA)
#define LAYOUT_PAIRS
typedef uint16_t element_t, stored_t;
typedef float sum_t;
#define DEPTH 4
#define INTO(l, s) "bfmmla v" S(s) ".4s, v" S(l) ".8h, v4.8h\n"
#elif defined(UNIT_NEON_SDOT)
typedef int8_t element_t, stored_t;
typedef int32_t sum_t;
#define DEPTH 4
#define INTO(l, s) "sdot v" S(s) ".4s, v" S(l) ".16b, v4.16b\n"
#elif defined(UNIT_NEON_SMMLA)
#define LAYOUT_PAIRS
typedef int8_t element_t, stored_t;
typedef int32_t sum_t;
#define DEPTH 8
#define INTO(l, s) "smmla v" S(s) ".4s, v" S(l) ".16b, v4.16b\n"
#elif defined(UNIT_SVE_FP64)
#define SVE
typedef double element_t, stored_t, sum_t;
#define DEPTH 1
#define INTO(l, s) "fmla z" S(s) ".d, p0/m, z" S(l) ".d, z4.d\n"
#elif defined(UNIT_SVE_FP32)
#define SVE
typedef float element_t, stored_t, sum_t;
#define DEPTH 1
#define INTO(l, s) "fmla z" S(s) ".s, p0/m, z" S(l) ".s, z4.s\n"
#else
#error "build with -DUNIT_… naming one of the units above"
#endif

#define GROUPS 4
#if !defined(SEGMENT)
#define SEGMENT (1L << 40)
#endif

#define UNROLL 2 /* turns per branch; every number of steps that loops.c asks for is a multiple of it */
#define STEP(l, s) INTO(l, s)
#define STEPS                                                                                                \
    STEP(0, 8) STEP(1, 9) STEP(2, 10) STEP(3, 11) STEP(0, 12) STEP(1, 13) STEP(2, 14) STEP(3, 15)            \
    STEP(0, 16) STEP(1, 17) STEP(2, 18) STEP(3, 19) STEP(0, 20) STEP(1, 21) STEP(2, 22) STEP(3, 23)          \
    STEP(0, 24) STEP(1, 25) STEP(2, 26) STEP(3, 27) STEP(0, 28) STEP(1, 29) STEP(2, 30) STEP(3, 31)
#define TURNS "1:\n.rept " S(UNROLL) "\n"
#define AGAIN ".endr\nsubs %[turns], %[turns], #1\nb.ne 1b\n"
#define EACH(line)                                                                                           \
    line(0, 8) line(1, 9) line(2, 10) line(3, 11) line(4, 12) line(5, 13) line(6, 14) line(7, 15)            \
    line(8, 16) line(9, 17) line(10, 18) line(11, 19) line(12, 20) line(13, 21) line(14, 22) line(15, 23)    \
    line(16, 24) line(17, 25) line(18, 26) line(19, 27) line(20, 28) line(21, 29) line(22, 30) line(23, 31)

#if defined(SVE)
/* Vectors of 128 bits or twice, four, … times that: lanes beyond sixteen are further rows of a tile. */
#define LAYOUT_LANES
static int vector_bytes(void) {
    long bytes;
    __asm__("cntb %0" : "=r"(bytes));
    return (int)bytes;
}
#define WIDTH (vector_bytes())
#define LANES (WIDTH / (int)sizeof(stored_t))
#define COLUMNS (LANES < EDGE ? LANES : EDGE)
#define ROWS (LANES / COLUMNS)

/* A length that is no power of two does not divide a tile. */
static int prepare_process(void) { return WIDTH & (WIDTH - 1) ? ENOTSUP : 0; }

#define OPERANDS                                                                                             \
    "ptrue p0.b\n ldr z0, [%[left]]\n ldr z1, [%[left], #1, mul vl]\n ldr z2, [%[left], #2, mul vl]\n"       \
    "ldr z3, [%[left], #3, mul vl]\n ldr z4, [%[right]]\n"
#define LOAD(place, n) "ldr z" S(n) ", [%[sums], #" S(place) ", mul vl]\n"
#define STORE(place, n) "str z" S(n) ", [%[sums], #" S(place) ", mul vl]\n"
#define CLOBBERS , "p0"
#else
#define WIDTH 16
#if defined(LAYOUT_PAIRS)
#define ROWS 2
#define COLUMNS 2
#else
#define LAYOUT_LANES
#define ROWS 1
#if !defined(COLUMNS)
#define COLUMNS (WIDTH / (int)sizeof(stored_t) / DEPTH)
#endif
#endif

static int prepare_process(void) { return 0; }

#define OPERANDS                                                                                             \
    "ldp q0, q1, [%[left]]\n ldp q2, q3, [%[left], #32]\n ldr q4, [%[right]]\n"
#define LOAD(place, n) "ldr q" S(n) ", [%[sums], #16*" S(place) "]\n"
#define STORE(place, n) "str q" S(n) ", [%[sums], #16*" S(place) "]\n"
#define CLOBBERS
#endif

static void prepare_thread(void) {}
static void finish_thread(void) {}

#if defined(UNIT_NEON_FP16)
/* Sums begin at zero in each segment and are added to the FP32 ones at its end, a fiftieth of its time at most. */
#define ZERO(place, n) "movi v" S(n) ".2d, #0\n"
#define FOLD(place, n)                                                                                       \
    "fcvtl v5.4s, v" S(n) ".4h\n fcvtl2 v6.4s, v" S(n) ".8h\n ldp q0, q1, [%[sums], #32*" S(place) "]\n"     \
    "fadd v0.4s, v0.4s, v5.4s\n fadd v1.4s, v1.4s, v6.4s\n stp q0, q1, [%[sums], #32*" S(place) "]\n"
#define FIRST EACH(ZERO)
#define LAST EACH(FOLD)
#else
#define FIRST EACH(LOAD)
#define LAST EACH(STORE)
#endif

static void loop(const void *left, const void *right, long steps, void *sums) {
    long turns = steps / UNROLL;
    __asm__ volatile(OPERANDS FIRST TURNS STEPS AGAIN LAST
                     : [turns] "+r"(turns)
                     : [left] "r"(left), [right] "r"(right), [sums] "r"(sums)
                     : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
                       "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
                       "v26", "v27", "v28", "v29", "v30", "v31" CLOBBERS);
}
