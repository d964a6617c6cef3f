/* async.h - what a block has under way beside its instructions: mbarriers, bulk copies, and the
 * matrix operations of warpgroups.
 *
 * The asynchronous proxy acts in the logical time of race.h like a warp: what bulk loads write
 * carries the stamp of an agent behind the warps, and a warp has seen it after waiting for the
 * mbarrier that the load reports to; what matrix operations have read, that of another, which a
 * warp has seen after wgmma.wait_group. A load lands when somebody waits for it, as late as it may;
 * a store is written when its thread waits for that, or when the block ends. */
#ifndef SIM_ASYNC_H
#define SIM_ASYNC_H

#include "number/reduce.h"
#include "machine/tensor_map.h"
#include "order/race.h"

enum { SIM_WARPGROUPS = 8, SIM_GROUP_RING = 16 };

typedef struct sim_mbarrier {
    uint32_t offset;   /* in shared memory */
    uint32_t expected; /* arrivals of a phase */
    uint32_t pending;  /* of them, those still to come in this phase */
    uint32_t phase;    /* completed phases */
    int64_t tx;        /* bytes that are announced and not yet here */
    uint32_t init;     /* stamp of the initialisation */
    uint32_t init_pc;
    uint32_t init_arrivals; /* of the initialising warp at the cluster's barrier, until then */
    uint32_t seen[SIM_MAX_WARPS]; /* what arrived in this phase had seen and done */
    uint32_t done[SIM_MAX_WARPS]; /* the same of all completed phases */
    uint32_t peers[SIM_MAX_CLUSTER]; /* clocks of other blocks when they last arrived */
    uint64_t cycle, done_cycle;   /* latest arrival; completion of the last phase */
} sim_mbarrier;

typedef enum sim_bulk_kind { SIM_BULK_LOAD, SIM_BULK_STORE, SIM_BULK_ARRIVE } sim_bulk_kind;

/* A bulk copy, or an arrival that waits for cp.async copies. */
typedef struct sim_bulk {
    sim_bulk_kind kind;
    uint32_t warp, lane, pc;
    uint32_t barrier; /* offset; of loads and arrivals */
    uint32_t shared, bytes;
    uint32_t group;  /* of a store: its lane's commits when it was issued */
    uint32_t lanes;  /* of an arrival */
    uint32_t serial; /* of an arrival: copies below it must be complete */
    uint64_t cycle;  /* of issue */
    bool early;      /* before the lane's griddepcontrol.wait */
    bool copy;       /* of a multicast load that counts in another block */
    bool reduces;    /* a store that combines with what is there: */
    sim_reduction reduction;
    bool read;       /* a store whose source may be used again */
    sim_tensor_map map; /* rank 0: a run of bytes at map.address */
    int32_t at[SIM_TENSOR_RANK];
    uint8_t *snapshot; /* of a store's source; owned */
} sim_bulk;

/* Shared memory that a matrix operation under way reads. */
typedef struct sim_region {
    uint32_t offset, bytes, pc;
    uint32_t group; /* the warp's commits when it was issued */
} sim_region;

/* A register that matrix operations may use (exec_lent.c). */
typedef struct sim_loan {
    uint32_t group; /* number of the commit group that returns it, from 1; 0: it is not lent */
    uint32_t pc;    /* of the operation, and above SIM_PC_MASK what it is to it */
} sim_loan;

typedef struct sim_matrix_warp {
    uint32_t issued, commits, complete; /* operations, groups, groups found complete */
    bool fenced;                      /* wgmma.fence was executed */
    uint64_t group_cycle[SIM_GROUP_RING]; /* when a group's operations end */
    uint32_t group_time[SIM_GROUP_RING];  /* logical time at which they were found complete */
    uint64_t last_cycle;
    sim_region *region;
    uint32_t regions, room;
    uint32_t returned; /* groups that the warp has waited for: their registers are its own again */
    sim_loan *loan;    /* by the register's place in the file, in lines; NULL: none yet */
} sim_matrix_warp;

/* The registers of a block's warps, a thread's share each, and those that none of them has. */
typedef struct sim_register_pool {
    bool open;
    uint32_t free;
    struct sim_register_share {
        uint32_t has;
        uint32_t changes; /* setmaxnreg so far */
        uint32_t pc;      /* of the last */
    } warp[SIM_MAX_WARPS];
} sim_register_pool;

struct sim_async {
    sim_register_pool registers;
    sim_mbarrier *barrier;
    uint32_t barriers, barrier_room;
    sim_bulk *bulk;
    uint32_t bulks, bulk_room;
    uint32_t commits[SIM_MAX_WARPS][SIM_LANES]; /* of bulk stores */
    uint64_t store_cycle[SIM_MAX_WARPS];        /* latest end of a warp's stores */
    sim_matrix_warp matrix[SIM_MAX_WARPS];
    uint64_t tensor_free; /* when the tensor cores have done what was issued */
    uint64_t copy_free;   /* when the copy engine has */
    /* B of one matrix operation, shared by the four warps */
    struct {
        uint64_t descriptor;
        uint32_t issued, n, group;
        float *value;
    } tile;
};

/* The block's state, made at first use; NULL without host memory. */
sim_async *sim_async_of(sim_block *block);
void sim_async_free(sim_block *block);

/* ---- mbarriers (mbarrier.c) */

/* The barrier at an offset, which the warp's lane must have seen initialised; NULL where there is
 * none, after a finding. */
sim_mbarrier *sim_mbarrier_at(sim_warp *warp, const sim_instruction *in, uint32_t offset,
                              uint32_t lane);
void sim_mbarrier_init(sim_warp *warp, const sim_instruction *in, uint32_t offset, uint32_t lane,
                       uint32_t count);
void sim_mbarrier_drop(sim_warp *warp, const sim_instruction *in, uint32_t offset, uint32_t lane);
void sim_mbarrier_arrive(sim_warp *warp, const sim_instruction *in, sim_mbarrier *barrier,
                         uint32_t count);
/* The barrier at an offset of another block of the cluster, which this warp must know to be ready
 * by the cluster's barrier; NULL after a finding. */
sim_mbarrier *sim_mbarrier_remote(sim_warp *warp, const sim_instruction *in, sim_block *owner,
                                  uint32_t offset);
/* An arrival there. What the warp had seen of its own block does not matter, so only the count
 * does. */
void sim_mbarrier_arrive_remote(sim_warp *warp, const sim_instruction *in, sim_block *owner,
                                uint32_t offset);
void sim_mbarrier_expect(sim_mbarrier *barrier, int64_t bytes);
/* Has the phase with this parity completed? Lands what alone is missing. If so, the warp has seen
 * what arrived. */
bool sim_mbarrier_test(sim_warp *warp, const sim_instruction *in, sim_mbarrier *barrier,
                       uint32_t parity);
/* Describes barriers that wait, and registers that are free, behind `text`. */
void sim_mbarrier_describe(const sim_block *block, char *text, size_t size);

/* ---- bulk copies (bulk.c) */

/* Queues a copy; it is taken over. False without host memory. */
bool sim_bulk_add(sim_block *block, const sim_bulk *bulk);
/* Lands the loads and arrivals of a barrier. True if there were any. */
bool sim_bulk_land(sim_warp *warp, const sim_instruction *in, uint32_t barrier);
/* Takes entry `i` off the list of what is under way. */
void sim_bulk_remove(sim_async *async, uint32_t i);
/* Calls `row` for each stretch of a box that is inside of the tensor along a row, and for those
 * outside with address 0. */
typedef void sim_bulk_row(void *context, uint32_t shared, uint64_t address, uint32_t bytes);
void sim_bulk_rows(const sim_bulk *bulk, sim_bulk_row *row, void *context);

/* One copy at work. */
typedef struct sim_transfer {
    sim_warp *warp; /* that issued it */
    const sim_bulk *bulk;
    const sim_instruction *in;
    uint64_t bytes; /* moved so far */
    bool bad;       /* it has been reported */
} sim_transfer;

/* The allocation behind a stretch of global memory; NULL after a finding. */
sim_allocation *sim_bulk_reach(sim_transfer *t, uint64_t address, uint32_t bytes);
/* The range for the checks of such a stretch. */
sim_range sim_bulk_range(const sim_transfer *t, sim_allocation *a, uint64_t address,
                         uint32_t bytes);

/* ---- bulk stores and reductions (bulk_store.c) */

/* Starts a store: its bytes in global memory are in flight. It is taken over. */
void sim_bulk_store_start(sim_warp *warp, const sim_instruction *in, sim_bulk *bulk);
/* Waits for a lane's stores but for its last `keep` groups: until they are written, or until they
 * have read their source. */
void sim_bulk_store_wait(sim_warp *warp, const sim_instruction *in, uint32_t lane, int64_t keep,
                         bool reads_only);
/* A block ends: what has been read is written. */
void sim_bulk_store_end(sim_block *block);

/* ---- checks */

/* The number of a proxy among the block's agents; the warp's own where there is no room for it. */
static inline uint32_t sim_agent(const sim_warp *warp, uint32_t proxy) {
    const sim_block *block = warp->block;

    return block->agents > block->warps ? block->warps + proxy : warp->index;
}

/* After a proxy's action: what every warp has seen of all is to be found anew. */
static inline void sim_agent_moved(sim_block *block) {
    for (uint32_t w = 0; w < block->warps; w++) sim_race_refresh(&block->warp[w]);
}

/* The asynchronous proxy reads shared memory on behalf of a warp: it must have been written in
 * order, and ordinary writes must stand before a proxy fence. */
void sim_async_read(sim_warp *warp, const sim_instruction *in, uint32_t offset, uint32_t bytes,
                    uint32_t lane);
/* fence.proxy.async by a warp. */
void sim_proxy_fence(sim_warp *warp);

/* Ends everything when a block ends; what was still under way is reported (async_end.c). */
void sim_async_finish(sim_block *block);

#endif
