/* Multiply-adds that stay in registers, on all cores at once: what `kernels.peak` compiles, once a unit (-DUNIT_…).
 *
 * The work is L multiply-adds into each of many independent sums ("chains"). Sums come in tiles of 16 × 16, row i and
 * column j of a tile being L · a[i] · b[j], and six tiles are a block, the least that one thread takes. x86.h and arm.h
 * say how a unit does it: one instruction adds DEPTH products to each of ROWS × COLUMNS sums, and GROUPS such vectors of
 * each of the six tiles are held in registers while `loop` runs. Nothing is loaded or stored inside that loop.
 *
 * a and b are read, and every sum is written, in each call; small integers as inputs make every sum exact.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EDGE 16  /* rows and columns of a tile */
#define TILES 6  /* of a block */
#define LARGEST_REGISTER 1024 /* bytes: a tile register; SVE's longest vector has 256 */
#define MOST_GROUPS 4

#if defined(__x86_64__)
#include "x86.h"
#define RELAX() __asm__ volatile("pause")
#elif defined(__aarch64__)
#include "arm.h"
#define RELAX() __asm__ volatile("yield")
#else
#error "loops are written for x86-64 and for 64-bit Arm"
#endif

/* A unit's header defines:
 *   element_t, stored_t  an input's element, and its form in a register
 *   sum_t                a sum as it is handed out
 *   DEPTH, ROWS, COLUMNS, GROUPS, WIDTH (bytes of a register)
 *   LAYOUT_…             where row, column and product lie in a register:
 *     LANES              a lane for each sum, DEPTH products side by side in it
 *     PAIRS              left ROWS × DEPTH, right COLUMNS × DEPTH (Arm's matrix multiply-accumulate)
 *     TILE               left ROWS × DEPTH, right DEPTH × COLUMNS in groups of four bytes (AMX)
 *   SEGMENT              most steps before sums leave their registers, where those would not hold them exactly
 *   NEGATIVE_RIGHT       the left operand is unsigned: its sign goes to the right one
 *   prepare_process, prepare_thread, loop
 */
#if defined(LAYOUT_TILE)
#define LEFT_AT(row, column, depth) ((row) * DEPTH + (depth))
#define GROUP (4 / (int)sizeof(stored_t))
#define RIGHT_AT(row, column, depth) (((depth) / GROUP * COLUMNS + (column)) * GROUP + (depth) % GROUP)
#elif defined(LAYOUT_PAIRS)
#define LEFT_AT(row, column, depth) ((row) * DEPTH + (depth))
#define RIGHT_AT(row, column, depth) ((column) * DEPTH + (depth))
#else
#define LEFT_AT(row, column, depth) (((row) * COLUMNS + (column)) * DEPTH + (depth))
#define RIGHT_AT(row, column, depth) LEFT_AT(row, column, depth)
#endif

/* The operands of one pass: GROUPS registers of rows from `row0` on, and as many of columns from `column0` on. */
static void fill(unsigned char *left, unsigned char *right, const element_t *a, const element_t *b, int row0,
                 int column0) {
    for (int group = 0; group < GROUPS; group++)
        for (int row = 0; row < ROWS; row++)
            for (int column = 0; column < COLUMNS; column++)
                for (int depth = 0; depth < DEPTH; depth++) {
                    stored_t x = (stored_t)a[row0 + group * ROWS + row], y = (stored_t)b[column0 + column];
#if defined(NEGATIVE_RIGHT)
                    if (x < 0) {
                        x = (stored_t)-x;
                        y = (stored_t)-y;
                    }
#endif
                    ((stored_t *)(left + group * WIDTH))[LEFT_AT(row, column, depth)] = x;
                    ((stored_t *)(right + group * WIDTH))[RIGHT_AT(row, column, depth)] = y;
                }
}

/* All sums of one block of six tiles. */
static void block(const element_t *a, const element_t *b, sum_t *out, long length) {
    _Alignas(64) unsigned char left[MOST_GROUPS * LARGEST_REGISTER] = {0}, right[MOST_GROUPS * LARGEST_REGISTER] = {0};
    _Alignas(64) sum_t sums[TILES * EDGE * EDGE];
    const int in_vector = ROWS * COLUMNS;
    for (int row0 = 0; row0 < EDGE; row0 += GROUPS * ROWS)
        for (int column0 = 0; column0 < EDGE; column0 += COLUMNS) {
            fill(left, right, a, b, row0, column0);
            memset(sums, 0, sizeof sums);
            for (long left_over = length / DEPTH; left_over > 0; left_over -= SEGMENT)
                loop(left, right, left_over < SEGMENT ? left_over : SEGMENT, sums);
            for (int tile = 0; tile < TILES; tile++)
                for (int group = 0; group < GROUPS; group++)
                    for (int row = 0; row < ROWS; row++)
                        memcpy(out + (tile * EDGE + row0 + group * ROWS + row) * EDGE + column0,
                               sums + (tile * GROUPS + group) * in_vector + row * COLUMNS, COLUMNS * sizeof(sum_t));
        }
}

/* Threads live as long as the pool, so that a call costs waking them and not making them. They spin a while between
 * calls, then sleep. The caller is thread 0. */
#define SPINS 20000 /* of a pause of 40 to 140 cycles: about half a millisecond */

typedef struct pool pool;
typedef struct {
    pool *of;
    pthread_t id;
    int number, cpu;
} member;

struct pool {
    int threads;
    long blocks, length;
    const element_t *a, *b;
    sum_t *out;
    atomic_int round, arrived, finished, stop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    member members[];
};

static void pin(int cpu) {
#if defined(__linux__)
    cpu_set_t one;
    CPU_ZERO(&one);
    if (cpu >= 0 && cpu < CPU_SETSIZE) {
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
#else
    (void)cpu;
#endif
}

/* Wait until `*counter` is `wanted`: spinning, and giving way to others where a thread has lost its core. */
static void await(atomic_int *counter, int wanted) {
    for (int spins = 1; atomic_load_explicit(counter, memory_order_acquire) != wanted; spins++) {
        RELAX();
        if (spins % SPINS == 0) sched_yield();
    }
}

static void share(pool *p, int number) {
    atomic_fetch_add(&p->arrived, 1);
    await(&p->arrived, p->threads); /* all start together */
    for (long i = number; i < p->blocks; i += p->threads)
        block(p->a, p->b, p->out + i * TILES * EDGE * EDGE, p->length);
    atomic_fetch_add(&p->finished, 1);
}

static void *serve(void *argument) {
    member *self = argument;
    pool *p = self->of;
    int seen = 0;
    pin(self->cpu);
    prepare_thread();
    for (;;) {
        for (int spins = 0; spins < SPINS && atomic_load(&p->round) == seen && !atomic_load(&p->stop); spins++) RELAX();
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->round) == seen && !atomic_load(&p->stop)) pthread_cond_wait(&p->wake, &p->lock);
        pthread_mutex_unlock(&p->lock);
        if (atomic_load(&p->stop)) return NULL;
        seen = atomic_load(&p->round);
        share(p, self->number);
    }
}

/* End and free a pool. */
void peak_close(pool *p) {
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->threads; i++) pthread_join(p->members[i].id, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* A pool of `threads`, each on the CPU of that place in `cpus` (-1: anywhere). NULL, and `*why` set to an errno, where
 * the unit (AMX) or the threads can't be had. */
pool *peak_open(int threads, const int *cpus, int *why) {
    *why = prepare_process();
    if (*why) return NULL;
    pool *p = calloc(1, sizeof *p + (size_t)threads * sizeof(member));
    if (!p) {
        *why = ENOMEM;
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->threads = 1;
    for (int i = 0; i < threads; i++) {
        p->members[i] = (member){.of = p, .number = i, .cpu = cpus[i]};
        if (i == 0) continue;
        *why = pthread_create(&p->members[i].id, NULL, serve, &p->members[i]);
        if (*why) {
            peak_close(p);
            return NULL;
        }
        p->threads = i + 1; /* threads read it in `share` alone, after all are here */
    }
    return p;
}

/* `blocks` blocks of 1536 chains of `length` multiply-adds each, into `out`. One call at a time for each pool. */
void peak_run(pool *p, const void *a, const void *b, void *out, long blocks, long length) {
#if defined(__linux__)
    cpu_set_t before;
    int restore = p->members[0].cpu >= 0 && sched_getaffinity(0, sizeof before, &before) == 0;
#endif
    p->a = a;
    p->b = b;
    p->out = out;
    p->blocks = blocks;
    p->length = length;
    atomic_store(&p->arrived, 0);
    atomic_store(&p->finished, 0);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->round, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pin(p->members[0].cpu);
    prepare_thread();
    share(p, 0);
    await(&p->finished, p->threads);
    finish_thread();
#if defined(__linux__)
    if (restore) sched_setaffinity(0, sizeof before, &before);
#endif
}
