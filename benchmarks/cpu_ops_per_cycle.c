/* One instruction loop per build (-DKERNEL_name), timed against a chain of dependent multiplies in the same process.
 *
 * Prints one JSON object: the fastest of many short slices of the loop and of the chain. Short slices and the minimum, so
 * that a busy neighbour disturbs some slices and not the figure. Built and run by cpu_ops_per_cycle.py.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SLICES 400
#define LOOPS 2000

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* imul r64 has a latency of 3 cycles on every x86-64 core of the last fifteen years (uops.info), so a chain counts cycles. */
#define CHAIN_LENGTH 16
#define CHAIN_CYCLES (3.0 * CHAIN_LENGTH)
static void chain(void) {
    uint64_t x = 3;
    for (int i = 0; i < LOOPS; i++)
        __asm__ volatile(".rept 16\n imul %0, %0\n .endr" : "+r"(x));
}

/* Ten accumulators: two instructions a cycle at a latency of up to five need as many. */
#define TEN(line) line(4) line(5) line(6) line(7) line(8) line(9) line(10) line(11) line(12) line(13)
#define S(x) #x

#if defined(KERNEL_fp32_fma)
#define LINE(n) "vfmadd231ps %%ymm0, %%ymm1, %%ymm" S(n) "\n"
#define OPERATIONS (10 * 16.0)
#elif defined(KERNEL_fp64_fma)
#define LINE(n) "vfmadd231pd %%ymm0, %%ymm1, %%ymm" S(n) "\n"
#define OPERATIONS (10 * 8.0)
#elif defined(KERNEL_int16_multiply)
/* The multipliers alone: what bounds every way to int8 that has no dot-product instruction. */
#define LINE(n) "vpmaddwd %%ymm0, %%ymm1, %%ymm" S(n) "\n"
#define OPERATIONS (10 * 32.0)
#elif defined(KERNEL_int16_madd)
/* int8 widened to int16 when it was packed: pairs of products sum exactly into int32. */
#define LINE(n) "vpmaddwd %%ymm0, %%ymm1, %%ymm2\n vpaddd %%ymm2, %%ymm" S(n) ", %%ymm" S(n) "\n"
#define OPERATIONS (10 * 32.0)
#elif defined(KERNEL_int8_maddubs)
/* u8 × s8 pairs sum into a saturating int16, so this one is exact for 7-bit values only. */
#define LINE(n) \
    "vpmaddubsw %%ymm0, %%ymm1, %%ymm2\n vpmaddwd %%ymm2, %%ymm3, %%ymm2\n vpaddd %%ymm2, %%ymm" S(n) ", %%ymm" S(n) "\n"
#define OPERATIONS (10 * 64.0)
#elif defined(KERNEL_avx_vnni)
#define LINE(n) "%{vex%} vpdpbusd %%ymm0, %%ymm1, %%ymm" S(n) "\n"
#define OPERATIONS (10 * 64.0)
#elif defined(KERNEL_avx512_fp32_fma)
#define LINE(n) "vfmadd231ps %%zmm0, %%zmm1, %%zmm" S(n) "\n"
#define OPERATIONS (10 * 32.0)
#elif defined(KERNEL_avx512_fp64_fma)
#define LINE(n) "vfmadd231pd %%zmm0, %%zmm1, %%zmm" S(n) "\n"
#define OPERATIONS (10 * 16.0)
#elif defined(KERNEL_avx512_fp16_fma)
#define LINE(n) "vfmadd231ph %%zmm0, %%zmm1, %%zmm" S(n) "\n"
#define OPERATIONS (10 * 64.0)
#elif defined(KERNEL_avx512_bf16_dot)
#define LINE(n) "vdpbf16ps %%zmm0, %%zmm1, %%zmm" S(n) "\n"
#define OPERATIONS (10 * 64.0)
#elif defined(KERNEL_avx512_vnni)
#define LINE(n) "vpdpbusd %%zmm0, %%zmm1, %%zmm" S(n) "\n"
#define OPERATIONS (10 * 128.0)
#elif defined(KERNEL_amx_bf16) || defined(KERNEL_amx_fp16) || defined(KERNEL_amx_int8)
#define AMX
#if defined(KERNEL_amx_bf16)
#define TILE(n) "tdpbf16ps %%tmm7, %%tmm6, %%tmm" S(n) "\n"
#define TILE_OPERATIONS (2.0 * 16 * 16 * 32)
#elif defined(KERNEL_amx_fp16)
#define TILE(n) "tdpfp16ps %%tmm7, %%tmm6, %%tmm" S(n) "\n"
#define TILE_OPERATIONS (2.0 * 16 * 16 * 32)
#else
#define TILE(n) "tdpbssd %%tmm7, %%tmm6, %%tmm" S(n) "\n"
#define TILE_OPERATIONS (2.0 * 16 * 16 * 64)
#endif
#define OPERATIONS (6 * TILE_OPERATIONS)
#else
#error "build with -DKERNEL_… naming one of the loops above"
#endif

#if defined(AMX)
#include <sys/syscall.h>
#include <unistd.h>
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static int prepare(void) {
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA))
        return 1;
    struct __attribute__((packed)) { uint8_t palette, row, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; } config;
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
    __asm__ volatile("tilezero %%tmm6\n tilezero %%tmm7\n" ::: "memory");
    return 0;
}
static void loop(void) {
    for (int i = 0; i < LOOPS; i++)
        __asm__ volatile(TILE(0) TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) ::: "memory");
}
#else
static int prepare(void) { return 0; }
static void loop(void) {
    __asm__ volatile(
        "vpxor %%xmm0, %%xmm0, %%xmm0\n vpxor %%xmm1, %%xmm1, %%xmm1\n vpxor %%xmm3, %%xmm3, %%xmm3\n" ::
            : "xmm0", "xmm1", "xmm3");
    for (int i = 0; i < LOOPS; i++)
        __asm__ volatile(TEN(LINE) :::
                         "xmm2", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13");
    __asm__ volatile("vzeroupper" :::);
}
#endif

int main(void) {
    if (prepare()) {
        fprintf(stderr, "the kernel does not grant the tile registers\n");
        return 3;
    }
    double best_chain = 1e9, best_loop = 1e9;
    for (int i = 0; i < SLICES; i++) {
        double start = now_s();
        chain();
        double middle = now_s();
        loop();
        double end = now_s();
        if (middle - start < best_chain) best_chain = middle - start;
        if (end - middle < best_loop) best_loop = end - middle;
    }
    double clock_hz = CHAIN_CYCLES * LOOPS / best_chain;
    printf("{\"clock_hz\": %.0f, \"operations_per_s\": %.0f, \"operations_per_cycle\": %.3f}\n", clock_hz,
           OPERATIONS * LOOPS / best_loop, OPERATIONS * LOOPS / best_loop / clock_hz);
    return 0;
}
