/* One unit's loops run by themselves, for an emulator: tests/kernels/test_peak.py builds it with -DUNIT_… and -DENCODING=…
 * (0: the element's own type, 1: bfloat16, 2: IEEE half). Ends with 0 where every sum is right. */
#include "../../kernels/peak/loops.c"

#include <stdio.h>

enum { BLOCKS = 2, LENGTH = 4096, THREADS = 3, ROUNDS = 2 };

static element_t encoded(double value) {
#if ENCODING == 0
    return (element_t)value;
#else
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
#if ENCODING == 1
    return (element_t)(bits >> 16);
#else
    return (element_t)((bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 127 + 15) << 10); /* powers of two alone */
#endif
#endif
}

int main(void) {
    static const double values[] = {1, 2, -1, -2};
    double a[EDGE], b[EDGE];
    element_t encoded_a[EDGE], encoded_b[EDGE];
    for (int i = 0; i < EDGE; i++) {
        a[i] = values[(i * 7 + i / 3) % 4];
        b[i] = values[(i * 5 + i / 5 + 1) % 4];
        encoded_a[i] = encoded(a[i]);
        encoded_b[i] = encoded(b[i]);
    }
    const long sums = (long)BLOCKS * TILES * EDGE * EDGE;
    sum_t *out = malloc((size_t)sums * sizeof *out);
    int cpus[THREADS] = {-1, -1, -1}, why = 0;
    pool *threads = peak_open(THREADS, cpus, &why);
    if (!threads || !out) {
        printf("refused: %d\n", why);
        return 2;
    }
    long wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        memset(out, 255, (size_t)sums * sizeof *out);
        peak_run(threads, encoded_a, encoded_b, out, BLOCKS, LENGTH);
        for (long i = 0; i < sums; i++) wrong += (double)out[i] != LENGTH * a[i / EDGE % EDGE] * b[i % EDGE];
    }
    peak_close(threads);
    free(out);
    printf("%ld of %ld wrong\n", wrong, ROUNDS * sums);
    return wrong != 0;
}
