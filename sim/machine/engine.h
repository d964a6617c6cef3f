/* engine.h - the running state of the simulated GPU, and what its parts ask of one another.
 *
 * context  owns memory, options and the report (gpu/context.c, memory.c)
 * launch   one grid: dims, arguments, the queue of blocks (gpu/launch.c)
 * worker   one host thread: blocks in flight, counters (gpu/launch.c)
 * block    one thread block: shared memory with its marks, barriers, warps (gpu/block.c)
 * warp     32 lanes: registers, where each lane is, what it has seen of others (warp.c, exec/)
 *
 * A block is a resumable state machine: it runs until it is done, spins on memory, or has used up
 * its quantum, and can go on later.
 *
 * Order between accesses is kept by logical time (race.h): a block has a clock that ticks at
 * every release; each warp knows up to which time it has seen every other warp. */
#ifndef SIM_ENGINE_H
#define SIM_ENGINE_H

#include "decode/code.h"
#include "machine/sim.h"
#include "model/reuse.h"

#include <pthread.h>

enum { SIM_LANES = 32, SIM_MAX_WARPS = 32, SIM_BARRIERS = 16, SIM_ALL = -1 };
/* Warp instructions after which a block is given up where the launch has no limit of its own: some
 * seconds of work. */
#define SIM_BUDGET (1ull << 28)

/* Marks number blocks with 24 bits; larger grids run without checks of order. */
enum { SIM_MAX_CHECKED_BLOCKS = 1 << 23 };

enum { SIM_MAX_CLUSTER = 16 };

enum { SIM_PAGE_SHIFT = 12, SIM_PAGE_BYTES = 1 << SIM_PAGE_SHIFT };

/* Agents besides the warps: what bulk loads write; what matrix operations have read; what other
 * blocks of the cluster do. */
enum { SIM_PROXY_LOADS, SIM_PROXY_MATRIX, SIM_PROXY_REMOTE, SIM_PROXIES };

typedef struct sim_block sim_block;
typedef struct sim_launch_state sim_launch_state;
typedef struct sim_worker sim_worker;
typedef struct sim_async sim_async;

/* ---- memory (memory.c) */

/* What is known of a page of global memory in one launch; see race.h. */
typedef struct sim_marks {
    uint64_t *stamp; /* by granule; NULL: no such access yet */
    uint32_t *detail;
    uint32_t shift; /* log2 of the granule */
    bool stale;     /* of another launch: to be cleared before use */
} sim_marks;

typedef enum sim_mark_kind { SIM_WRITES, SIM_READS, SIM_ATOMICS, SIM_MARK_KINDS } sim_mark_kind;

typedef struct sim_page {
    uint64_t launch;     /* that the rest is about; other launches left it stale */
    uint64_t wrote[2];   /* the last launch that wrote to it, and the one before */
    uint32_t lock;       /* held while marking, where blocks run in parallel */
    uint64_t touched[2]; /* a bit for each 32-byte sector */
    sim_uses uses;
    sim_marks marks[SIM_MARK_KINDS];
} sim_page;

typedef struct sim_allocation {
    uint8_t *bytes; /* NULL: freed */
    uint64_t size;
    uint64_t *written; /* a bit for each byte */
    sim_page *page;
    bool readonly; /* .const */
} sim_allocation;

typedef struct sim_memory {
    sim_allocation *allocation; /* by number */
    uint32_t count, room;
    uint64_t used, limit;
} sim_memory;

moe_status sim_memory_alloc(sim_memory *memory, size_t bytes, uint64_t *out);
void sim_memory_free(sim_memory *memory);
/* Back to no access yet. */
void sim_marks_free(sim_marks *marks);

/* The allocation at an address, NULL where there is none or it is freed. */
static inline sim_allocation *sim_allocation_at(const sim_memory *memory, uint64_t address) {
    uint64_t number = address >> SIM_ADDRESS_SHIFT;

    if (number < SIM_FIRST_ALLOCATION || number >= memory->count) return NULL;
    return memory->allocation[number].bytes ? &memory->allocation[number] : NULL;
}

void sim_written_set(sim_allocation *allocation, uint64_t offset, uint64_t bytes);
/* True if all of the bytes have been written; else *first gets the first that was not. */
bool sim_written_test(const sim_allocation *allocation, uint64_t offset, uint64_t bytes,
                      uint64_t *first);

/* Bytes that an L2 of so many bytes had to bring from DRAM again in a launch (model/reuse.h). */
uint64_t sim_memory_missed(const sim_memory *memory, uint64_t launch, const sim_epochs *epochs,
                           uint64_t l2);

/* ---- findings (report.c) */

typedef enum sim_finding_kind {
#define SIM_FINDING(id, text) SIM_FINDING_##id,
#include "machine/finding.def"
#undef SIM_FINDING
    SIM_FINDING_COUNT
} sim_finding_kind;

enum { SIM_MAX_FINDINGS = 8, SIM_FINDING_TEXT = 400 };

typedef struct sim_report {
    pthread_mutex_t lock;
    uint32_t kept;  /* different ones, at most SIM_MAX_FINDINGS with text */
    uint64_t total; /* occurrences */
    struct {
        sim_finding_kind kind;
        uint32_t pc, other_pc;
        char text[SIM_FINDING_TEXT];
    } finding[SIM_MAX_FINDINGS];
} sim_report;

/* Records a finding at an instruction of the warp's kernel; `other` is a second one, or UINT32_MAX.
 * The text names both places by "%p" and "%q", which stand for (file:line); it must not be used for
 * anything else. Thread-safe. */
void sim_find(sim_warp *warp, sim_finding_kind kind, const sim_instruction *in, uint32_t other,
              const char *format, ...) MOE_PRINTF(5, 6);

/* Writes "templates/x.cu:41" or "PTX line 120" for an instruction. */
void sim_place_text(const sim_kernel *kernel, uint32_t pc, char *text, size_t size);

/* ---- warps */

/* One warp-wide cp.async. */
typedef struct sim_copy {
    uint32_t lanes;
    bool together;             /* all lanes have the same group */
    uint32_t group[SIM_LANES]; /* commit count of the lane when it was issued */
    uint32_t pc;
    uint32_t serial; /* number among the warp's copies */
    uint8_t bytes;
    uint8_t source_bytes[SIM_LANES]; /* the rest is zero-filled */
    uint32_t to[SIM_LANES];          /* shared offset */
    const uint8_t *from[SIM_LANES];
    uint8_t seen[SIM_LANES][16]; /* the source when it was issued */
} sim_copy;

typedef enum sim_park { SIM_PARK_COLLECTIVE, SIM_PARK_WARP_SYNC, SIM_PARK_BARRIER } sim_park;

/* A wait by polling; see polling.h. */
typedef struct sim_poll {
    uint32_t pc;      /* of the instruction that polls, */
    uint64_t address; /* and where */
    uint64_t found;   /* its values, hashed */
    uint64_t cycle;   /* modelled, at the first of the polls */
    uint64_t done;    /* progress that the warp itself had made */
    bool again;       /* nothing has happened since the poll before */
    bool idle;        /* the last poll found nothing new */
} sim_poll;

typedef enum sim_warp_state {
    SIM_WARP_READY,
    SIM_WARP_BARRIER,
    SIM_WARP_DONE,
    SIM_WARP_STUCK
} sim_warp_state;

struct sim_warp {
    unsigned char *base[2]; /* registers; constants */
    uint32_t active;        /* lanes at pc */
    uint32_t waiting;       /* lanes that stand elsewhere and can go on */
    uint32_t parked;        /* lanes that wait for lanes of this warp */
    uint32_t exited;        /* lanes that are done, or never were */
    uint32_t pc;
    uint32_t next_pc; /* lowest of the waiting lanes; UINT32_MAX if none */
    uint32_t carry;   /* condition code of add.cc and its kin, a bit for each lane */
    uint32_t lane_pc[SIM_LANES];
    uint32_t park_mask[SIM_LANES];
    uint8_t park_kind[SIM_LANES];
    uint32_t held;  /* waiting lanes that let the others go first for a while */
    uint32_t spins; /* backward jumps while other lanes waited */
    uint32_t index; /* in the block */
    uint32_t first; /* lanes that exist */
    uint32_t cluster_arrivals; /* at barrier.cluster */
    uint32_t cluster_time;     /* logical time of the last */
    uint64_t cluster_cycle;    /* modelled, of the last */
    uint32_t waited; /* lanes that have waited for the launches ahead, or need not, or come after
                        one that has */
    uint32_t wait_stamp; /* of the first to wait; 0: none */
    sim_warp_state state;
    uint32_t barrier;                 /* it waits at */
    const sim_instruction *reduction; /* bar.red that takes its result when the barrier opens */
    uint32_t reduction_lanes;
    uint64_t cycles; /* modelled */
    uint64_t executed;
    uint64_t others_progress; /* of the block's, what this warp has not made */
    uint64_t turn_end;        /* the block's progress when the warp last ran */
    sim_poll poll;
    uint8_t *local; /* lane-major */
    sim_block *block;
    /* order; see race.h */
    uint32_t epoch;                /* warp-level syncs since the block's clock last ticked for it */
    uint32_t synced;               /* stamp: all lanes have seen what the warp did before */
    uint32_t all_seen;             /* stamp: everything below it, by any warp, is visible */
    uint32_t seen[SIM_MAX_WARPS];  /* time up to which each warp's accesses are visible */
    uint32_t fence[SIM_MAX_WARPS]; /* `seen` at the last fence; [index] 0: none yet */
    bool fenced;
    uint32_t (*lane_seen)[SIM_LANES]; /* stamps, when lanes are in order one by one; else NULL */
    uint32_t lane_fence[SIM_LANES];     /* stamps: what each lane did before its last fence, */
    uint32_t lane_published[SIM_LANES]; /* and what other lanes may see of it by atomic accesses */
    /* cp.async */
    sim_copy *copy;
    uint32_t first_copy, copies, copy_room; /* those in flight: [first_copy, copies) */
    uint32_t copy_serial;                   /* of the next one */
    uint32_t proxy[SIM_MAX_WARPS]; /* time up to which each warp's writes to shared memory are
                                      visible to the asynchronous proxy by this warp's fences */
    uint32_t commits[SIM_LANES];
    bool commits_together;     /* all lanes have always committed together */
    uint64_t commit_cycle[16]; /* by commit number % 16 */
};

/* ---- blocks (block.c) */

/* Marks of shared memory by granule; see race.h. */
typedef struct sim_shared_marks {
    uint32_t *write, *write_pc;
    uint32_t *read, *read_warps, *read_pc;
    uint32_t *atomic, *atomic_warps, *atomic_pc; /* NULL where the kernel has no atomics */
} sim_shared_marks;

typedef struct sim_barrier {
    uint32_t expected;            /* threads; 0 = nobody has come yet */
    uint32_t arrived;             /* threads */
    uint32_t waiting;             /* warps */
    uint32_t came;                /* warps that synced or arrived */
    uint32_t popc, all, any;      /* reductions so far */
    uint32_t pc;                  /* of the first to come */
    uint32_t seen[SIM_MAX_WARPS]; /* what all that came had seen and done */
    uint64_t cycle;               /* latest arrival */
} sim_barrier;

typedef enum sim_block_state {
    SIM_BLOCK_RUNNING,
    SIM_BLOCK_STALLED,
    SIM_BLOCK_DONE
} sim_block_state;

/* Costs that are measured for some requests and extrapolated to all. */
typedef struct sim_samples {
    uint64_t requests, measured, cost;
} sim_samples;

struct sim_block {
    sim_worker *worker;
    sim_launch_state *launch;
    const sim_kernel *kernel;
    uint32_t index; /* in the grid */
    uint32_t first_epoch; /* of its round, see model/reuse.h */
    uint32_t id[3];
    uint32_t rank;                      /* in its cluster */
    sim_block *cluster[SIM_MAX_CLUSTER]; /* by rank, itself too; NULL: has ended */
    uint32_t peer_seen[SIM_MAX_CLUSTER]; /* of their clocks; see exec_remote.c */
    uint32_t remote_pc;                  /* of the last access by another block */
    uint32_t synced_arrivals; /* at the last barrier.cluster that opened; the clock then, and */
    uint32_t synced_now;      /* when other blocks had last been active here */
    uint32_t synced_remote;
    uint64_t synced_cycle;    /* modelled, of the last arrival */
    uint32_t warps, live;
    sim_warp *warp;
    uint8_t *shared;
    uint32_t shared_bytes;
    sim_shared_marks marks;
    bool checks;
    sim_samples samples[4]; /* by sim_sample */
    uint32_t now;           /* logical time */
    uint32_t generation;    /* how often it has started anew */
    sim_barrier barrier[SIM_BARRIERS];
    uint32_t agents;                    /* warps, and behind them, where there is room: */
    uint32_t agent_time[SIM_PROXIES];   /* the proxies; when each was last active */
    sim_async *async;                   /* NULL until the block uses any of async.h */
    uint32_t published[SIM_MAX_WARPS]; /* what strong stores behind fences have released */
    /* across blocks; see race.h */
    uint32_t fences;      /* device-wide fences so far */
    uint32_t unpublished; /* first fence that no strong store has followed */
    uint64_t *fence_log;  /* order number of each fence's publication; 0 = none */
    uint64_t acquired;    /* latest publication that this block may have seen */
    /* scheduling */
    uint64_t progress; /* stores, barriers, exits: what a spinning block does not do */
    uint64_t polls;    /* strong loads, failed atomics, sleeps: what it does */
    uint64_t executed;
    uint64_t random;
    uint32_t turn;
    uint8_t *arena; /* the memory behind all of the above */
    size_t arena_size;
    sim_block *next;
};

/* Starts a block of the launch in `block`, reusing its memory. MOE_E_MEMORY. */
moe_status sim_block_start(sim_block *block, sim_worker *worker, uint32_t index);
/* Runs it for about `quantum` warp instructions. */
sim_block_state sim_block_run(sim_block *block, uint64_t quantum);
void sim_block_free(sim_block *block);

/* ---- barriers (barrier.c) */

/* A warp comes to a barrier. */
typedef struct sim_arrival {
    const sim_instruction *in;
    uint32_t id;
    uint32_t threads; /* expected; 0 = all of the block */
    bool waits;
    uint32_t lanes, values; /* bar.red: which take part, and their predicates */
    bool reduces;
} sim_arrival;

/* True if the warp may go on at once; else its state is SIM_WARP_BARRIER until the barrier
 * opens. */
bool sim_barrier_arrive(sim_warp *warp, const sim_arrival *arrival);
/* A warp has ended: barriers for the whole block wait for one less. */
void sim_barrier_leave(sim_block *block);

/* ---- blocks that do not end (watch.c) */

/* Describes where every warp stands: "warp 0 at bar.sync (templates/x.cu:12); ...". */
void sim_block_describe(const sim_block *block, char *text, size_t size);
/* Reports lanes that wait for one another for ever; a block none of whose warps can go on. */
void sim_report_stuck(sim_warp *warp);
void sim_report_deadlock(sim_block *block, const char *why);
/* Finds and reports a warp that repeats itself; a block that has run for too long. */
bool sim_loops_for_ever(sim_block *block);
bool sim_over_budget(sim_block *block);
/* Reports, once, that the launch has reached its limit of instructions or of time. */
void sim_report_limit(const sim_block *block);

/* ---- launches (launch.c) */

/* sim_launch without the module around the kernel. */
moe_status sim_launch_kernel(sim_context *context, const sim_kernel *kernel, const moe_dims *dims,
                             const void *args, size_t args_size);

/* An answer of sim_passed_by that is kept. */
typedef struct sim_passed {
    bool valid, result;
    uint32_t pc, collective;
} sim_passed;

enum { SIM_PASSED = 64 };

struct sim_worker {
    sim_launch_state *launch;
    pthread_t thread;
    moe_status status;
    sim_counters counters;
    uint64_t *hits;     /* executions of each instruction, */
    uint64_t *idle;     /* and those by warps that only poll */
    sim_block *running; /* blocks in flight, a ring by `next` */
    uint32_t in_flight;
    sim_passed passed[SIM_PASSED];
};

/* Lanes at `pc` have come past a collective that others of their warp wait at, and cannot come to
 * it any more (reach.c). Lanes that are about to exit have not. */
bool sim_passed_by(sim_worker *worker, const sim_kernel *kernel, uint32_t pc, uint32_t collective);

/* When words in global memory were last stored to (polling.c). */
typedef struct sim_flag sim_flag;
typedef struct sim_flags {
    pthread_mutex_t lock;
    sim_flag *flag;
    uint64_t count, room; /* room: 0 or a power of two */
} sim_flags;

struct sim_launch_state {
    sim_context *context;
    const sim_kernel *kernel;
    sim_memory *memory;
    moe_dims dims;
    uint32_t cluster[3]; /* blocks of a cluster along each way, */
    uint32_t cluster_size; /* and together */
    bool clustered; /* the launch asks for clusters, or its kernel does */
    uint8_t *args;
    uint64_t number; /* of the launch; pages with another are stale */
    uint64_t chain;  /* of the first launch that may still be running */
    uint32_t hasty;  /* atomic: it lets the next one start before it has waited itself */
    uint32_t blocks;
    uint32_t next_block;  /* atomic */
    uint32_t abort;       /* atomic: stop as soon as possible */
    uint64_t order;       /* atomic: publications so far */
    uint64_t progress;    /* atomic: quanta in which something happened */
    uint64_t executed;    /* atomic: warp instructions of all blocks, */
    double start;         /* and when it began: for the limits */
    uint64_t **fence_log; /* by block; NULL until a block fences */
    bool checks;
    bool parallel; /* more than one host thread */
    uint32_t shared_bytes;
    sim_report report;
    sim_epochs epochs;
    uint32_t slots;    /* blocks that the chip may hold at once; */
    uint32_t resident; /* in flight at once, in each worker */
    sim_flags flags;
};

/* The dispatch loop (exec_flow.c), for the machine that runs the simulator: runs a warp until it
 * waits, ends, yields or has executed `budget` instructions. */
typedef void (*sim_warp_runner)(sim_warp *warp, uint64_t budget);
sim_warp_runner sim_runner(bool portable);

struct sim_context {
    moe_facts facts;
    sim_options options;
    sim_memory memory;
    uint64_t launches;
    uint64_t chain; /* the first launch that may still run when the next one starts */
    sim_counters counters;
    sim_block *pool; /* blocks whose memory is to be used again */
    pthread_mutex_t pool_lock;
    uint64_t *hits; /* of the last launch, by instruction of last_kernel */
    const sim_kernel *last_kernel;
    sim_line *profile;
    sim_warp_runner run;
};

/* Marks lanes as done; called by exit, ret and trap. */
void sim_warp_exit(sim_warp *warp, uint32_t lanes);

#endif
