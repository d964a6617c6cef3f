/* moetune.h - run tuned Mixture-of-Experts layers.
 *
 * A layer (sizes, dtypes, activation, router, capacity) and a device resolve, through a tuning
 * database, to a plan: one compiled kernel per step of the layer for every token bucket. A plan
 * runs the whole layer on a stream with no compiler, no allocation, no lock and no host
 * synchronisation, so a run can be captured in a CUDA graph.
 *
 *     moe_db *db;          moe_db_open("tuning.db", &db);
 *     moe_device *device;  moe_device_open("auto", &device);
 *     moe_layer layer;     moe_layer_parse("d=1024 f=512 e=32 k=8 act=swiglu x=bf16", &layer);
 *     moe_plan *plan;      moe_plan_create(db, device, &layer, NULL, &plan);
 *     moe_plan_run(plan, &io, tokens, stream);
 *
 * Every function that can fail returns a moe_status; moe_error_text() then says what went wrong
 * and what to do next, for the calling thread. Pointers named `out` are written on success only.
 * A close or destroy of NULL is a no-op. Plans are immutable and may be shared between threads;
 * a database belongs to one thread at a time; a device may be shared.
 *
 * moe_layer, moe_plan_options and moe_io grow: what a later version adds comes behind their end,
 * and their first member says how large they are where the program was compiled. So a program runs
 * with a later library, which takes what the program knows nothing of as 0; and with an earlier
 * one, as long as it leaves what that does not know 0. MOE_E_INVALID where a size is not set.
 *
 * T is the token count of one call, R = T*k its routed rows. Matrices are row-major.
 */
#ifndef MOETUNE_H
#define MOETUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MOE_API __attribute__((visibility("default")))
#else
#define MOE_API
#endif

#define MOE_VERSION "0.1.0"

/* ---------------------------------------------------------------------------------- errors */

typedef enum moe_status {
    MOE_OK = 0,
    MOE_E_PARSE,       /* text that does not follow its grammar */
    MOE_E_INVALID,     /* well-formed, but contradictory or out of range */
    MOE_E_UNSUPPORTED, /* legal, but not something this version can do */
    MOE_E_NOT_FOUND,   /* no such file, preset, template or database row */
    MOE_E_IO,          /* a file could not be read or written */
    MOE_E_CORRUPT,     /* a file is damaged or is not what it claims to be */
    MOE_E_LIBRARY,     /* a shared library or a symbol of it is missing */
    MOE_E_DEVICE,      /* a device call failed */
    MOE_E_FAULT,       /* a kernel misbehaved: bad access, race, deadlock, trap */
    MOE_E_TEMPLATE,    /* a template is wrong or threw */
    MOE_E_COMPILE,     /* generated source does not compile */
    MOE_E_MEMORY,      /* out of host or device memory */
    MOE_STATUS_COUNT
} moe_status;

/* The name of a status, such as "not found". Never NULL. */
MOE_API const char *moe_status_text(moe_status status);

/* The message of the calling thread's last failure; "" if there was none. Valid until the next
 * failing call of the same thread. */
MOE_API const char *moe_error_text(void);

/* The version of the library, for example "0.1.0". */
MOE_API const char *moe_version(void);

/* ----------------------------------------------------------------------------------- layer */

/* Types of elements: the floats, which x and weights may be, then what lies beside them. */
typedef enum moe_dtype {
    MOE_BF16,
    MOE_F16,
    MOE_F32,
    MOE_I32, /* ids, counts, maps */
    MOE_U64, /* seeds and sums */
    MOE_DTYPE_COUNT
} moe_dtype;

typedef enum moe_act_kind {
    MOE_ACT_RELU,
    MOE_ACT_RELU2,        /* relu(x)^2 */
    MOE_ACT_GELU,         /* x * Phi(x), the erf form */
    MOE_ACT_GELU_TANH,    /* the tanh approximation */
    MOE_ACT_SILU,         /* x * sigmoid(x) */
    MOE_ACT_SWIGLU,       /* silu(gate) * up */
    MOE_ACT_GEGLU,        /* gelu(gate) * up */
    MOE_ACT_GEGLU_TANH,   /* gelu_tanh(gate) * up */
    MOE_ACT_SWIGLU_CLAMP, /* g = min(gate,limit), u = clamp(up,+-limit): (u+1)*g*sigmoid(alpha*g) */
    MOE_ACT_NONE,         /* 1, whatever x is: there are no up weights (memories of values; f=1) */
    MOE_ACT_COUNT
} moe_act_kind;

typedef struct moe_act {
    moe_act_kind kind;
    double limit, alpha; /* of swiglu_clamp(limit,alpha); 0 for every other kind */
} moe_act;

/* A router is a row of independent choices: what is drawn at random, what a logit scores, how
 * experts are picked, and how the chosen scores become weights. Of equal keys the lower expert id
 * wins.
 *
 * What is drawn depends on moe_io.seed alone: numbers are words of Philox4x32-10 (Salmon and others
 * 2011) whose key is the seed and whose counter is (token, i, stream, 0). A uniform u is a word's
 * upper 24 bits times 2^-24. Without a seed nothing is drawn, as in evaluation. */

typedef enum moe_score { /* of a token's logits l, before the selection */
    MOE_SCORE_LOGIT,        /* l itself; not written in a router's text */
    MOE_SCORE_SOFTMAX,      /* softmax over all experts */
    MOE_SCORE_SIGMOID,      /* 1 / (1 + exp(-l)) */
    MOE_SCORE_SQRTSOFTPLUS, /* sqrt(log(1 + exp(l))) */
    MOE_SCORE_COUNT
} moe_score;

typedef enum moe_pick { /* where a token's experts come from */
    MOE_PICK_TOPK, /* the k largest keys, best first */
    MOE_PICK_HASH, /* row token_ids[t] of moe_io.expert_table, in its order (hash layers,
                      DeepSeek-V4): an expert may stand there twice; an id that is no expert's is a
                      slot left out: its id becomes -1 and its weight 0, and so is every slot of a
                      token whose id is not in 0..vocab-1 */
    MOE_PICK_COUNT
} moe_pick;

typedef enum moe_weigh { /* from the scores of the k chosen to their weights */
    MOE_WEIGH_SCORE,       /* the score itself; not written in a router's text */
    MOE_WEIGH_SOFTMAX,     /* softmax over the k chosen logits */
    MOE_WEIGH_SIGMOID,     /* 1 / (1 + exp(-l)) */
    MOE_WEIGH_SPARSEMIXER, /* softmax at the choice over the experts not chosen before it and not
                              far below it: (l_j - l_e) / max(|l_e|, l_j) <= 2*jitter */
    MOE_WEIGH_RELU,        /* max(l, 0); of MOE_RULE_PEER alone */
    MOE_WEIGH_COUNT
} moe_weigh;

typedef enum moe_group_rule { /* the score of a group of experts, from the keys in it */
    MOE_GROUP_MAX,  /* the largest */
    MOE_GROUP_SUM2, /* the sum of the two largest */
    MOE_GROUP_COUNT
} moe_group_rule;

typedef enum moe_second { /* whether the second of two experts stays, u being stream 0 of (token,
                             1). One that does not has id -1 and weight 0, takes no room, and leaves
                             the other's weight as it is */
    MOE_SECOND_ALWAYS, /* not written in a router's text */
    MOE_SECOND_MESH,   /* where u < w2 / 0.2 (Mesh TensorFlow), w2 being its weight */
    MOE_SECOND_NLLB,   /* where u < 2 * p2 (fairseq), p2 being its softmax over all experts */
    MOE_SECOND_PAPER,  /* where u < 2 * w2 (GShard) */
    MOE_SECOND_COUNT
} moe_second;

typedef enum moe_rule {
    MOE_RULE_TOPK, /* a token takes its k best experts, by the choices below */
    MOE_RULE_BASE, /* as many tokens for each expert, with nearly the largest sum of logits; the
                      weight is 1 / (1 + exp(-l)) (BASE layers) */
    MOE_RULE_EXPERT_CHOICE, /* an expert takes the C tokens of its largest softmax(l), which is the
                               weight; of equal ones the earlier token */
    MOE_RULE_GIVEN, /* there is no router: moe_io.ids and weights are inputs (c-BTM, hash layers and
                       routers of the caller's own) */
    MOE_RULE_PEER, /* each of several heads takes the k/heads experts whose two keys have the
                      largest sum of products with the head's query; weights are a softmax over
                      these */
    MOE_RULE_COUNT
} moe_rule;

typedef struct moe_router {
    moe_rule rule;             /* other than MOE_RULE_TOPK it decides on the choices below, too */
    double jitter_input;       /* the router's x is multiplied by 1 - j + 2*j*u in fp32 and rounded
                                  to x's dtype, u being word c%4 of stream 2 of (token, c/4) for
                                  column c; 0: it is not */
    bool jitter_experts;       /* the experts' x, too, as in transformers' Mixtral */
    double noise;              /* logits += n * (log(1 + exp(x . router_noise)) + noise), n being
                                  sqrt(-2 log(u0 + 2^-24)) * cos(2 pi u1) of words 0 and 1 of stream
                                  1 of (token, expert); 0: they have none */
    moe_score score;
    moe_pick pick;
    bool key_bias;             /* key = score + router_bias; else the key is the score */
    int64_t groups;            /* of e/groups neighbours each, at most 32; 0: none */
    int64_t groups_kept;       /* the best groups, in which alone experts are chosen */
    moe_group_rule group_rule;
    bool zero_fill;            /* keys outside of kept groups are 0, as in HF; else -inf */
    moe_weigh weigh;
    double jitter;             /* of MOE_WEIGH_SPARSEMIXER */
    bool renorm;               /* divide by the sum of the k weights + epsilon */
    double epsilon;
    moe_second second;
    double scale;              /* factor of all weights, behind renorm */
    bool input;                /* the weight multiplies the expert's input instead of its output */
    int64_t heads;             /* of MOE_RULE_PEER, as all below: queries of a token, */
    int64_t keys;              /* keys that each half of a query meets; e = keys^2, */
    int64_t key_width;         /* and the width of a query, of both halves */
} moe_router;

typedef enum moe_layout { /* of an expert's 2f rows of up weights and bias, where gated */
    MOE_LAYOUT_GATE_UP,     /* f gate rows, then f up rows */
    MOE_LAYOUT_UP_GATE,     /* f up rows, then f gate rows */
    MOE_LAYOUT_INTERLEAVED, /* gate row, up row, gate row, ... */
    MOE_LAYOUT_COUNT
} moe_layout;

/* The rows C that an expert keeps of T tokens, from the factor cf. At most T*k. */
typedef enum moe_capacity_rule {
    MOE_CAPACITY_SHARE,  /* ceil(T*k*cf / e) */
    MOE_CAPACITY_SWITCH, /* round(T*cf / e), halves to even (Mesh TensorFlow, flaxformer) */
    MOE_CAPACITY_GSHARD, /* floor(T*cf / e) (Mesh TensorFlow's top-2) */
    MOE_CAPACITY_TUTEL,  /* k * floor(cf * ceil(T/e)) */
    MOE_CAPACITY_NLLB,   /* ceil(cf * ceil(T/e)), with cf = 2 (fairseq's top-2) */
    MOE_CAPACITY_TOKENS, /* ceil(cf * T), a share of all tokens (fairseq at evaluation) */
    MOE_CAPACITY_COUNT
} moe_capacity_rule;

typedef struct moe_capacity {
    double factor; /* cf; 0: no limit */
    moe_capacity_rule rule;
    int64_t least; /* C is at least this; 0: no least */
} moe_capacity;

/* Whose rows an expert keeps. First choices always come before second ones, and so on. */
typedef enum moe_priority {
    MOE_PRIORITY_ORDER, /* of a choice, those of earlier tokens */
    MOE_PRIORITY_GATE,  /* of a choice, those of the largest weight (V-MoE's batch priority);
                           of equal ones, those of earlier tokens */
    MOE_PRIORITY_COUNT
} moe_priority;

/* What becomes of a token's weights when some of its rows are dropped. */
typedef enum moe_drop {
    MOE_DROP_PLAIN,  /* they stay as they are */
    MOE_DROP_RENORM, /* they are divided by the sum of those kept, which is at least 2^-23 */
    MOE_DROP_COUNT
} moe_drop;

typedef struct moe_shared { /* an expert that every token uses, beside those that are chosen */
    int64_t f;  /* its hidden width, a multiple of the layer's f; 0: there is none */
    bool gated; /* its output is multiplied by sigmoid(x . shared_gate) */
} moe_shared;

enum { MOE_BIAS_ROUTER = 1, MOE_BIAS_UP = 2, MOE_BIAS_DOWN = 4 };

typedef enum moe_router_dtype { /* dtype of the router's weight */
    MOE_ROUTER_W,   /* w */
    MOE_ROUTER_F32, /* f32, where w is not: logits are then those of an f32 product with x */
    MOE_ROUTER_DTYPE_COUNT
} moe_router_dtype;

/* A layer is what its text says: members that do not show in it, such as the numbers of a stage
 * that the router has not, count for nothing. */
typedef struct moe_layer {
    size_t size;     /* sizeof(moe_layer); moe_layer_parse sets it */
    int64_t d;       /* width of x and y; a multiple of 8 */
    int64_t f;       /* hidden width of one expert, after the gate; a multiple of 8, or 1 of peer */
    int64_t e;       /* experts, 1..2048; keys^2 of peer, to 2^20 */
    int64_t k;       /* slots of a token: the experts it uses, 1..min(e,32); e of expert_choice; of
                        peer those of all heads, to 256 */
    moe_act act;     /* activation between the two expert GEMMs */
    moe_dtype x;     /* dtype of x, y and everything between the kernels */
    moe_dtype w;     /* dtype of all weights and of the up and down biases; equal to x,
                        but for types that weights are only stored in */
    moe_router router;
    moe_capacity capacity;
    unsigned bias;   /* set of MOE_BIAS_* */
    moe_layout layout;
    moe_priority priority;
    moe_drop drop;
    moe_router_dtype router_dtype;
    moe_shared shared;
    int64_t local;   /* experts that a device holds, from moe_io.first_expert on; 0: all e */
} moe_layer;

enum { MOE_LAYER_TEXT_SIZE = 512 }; /* bytes, always enough for a layer's text */

/* Parses `key=value` pairs in any order, for example "d=2048 f=768 e=128 k=8 act=swiglu x=bf16
 * w=bf16 router=softmax>topk>renorm capacity=none bias=none". d f e k are required; the others
 * default to act=swiglu x=bf16 w=<x> router=softmax>topk>renorm capacity=none bias=none.
 *
 * A router is stages joined by '>', in this order; all but `topk` or `hash` may be absent:
 *   jitter(J[,all])                    see jitter_input; all: the experts' input, too
 *   noisy[(EPSILON)]                   see noise; EPSILON is 0.01 unless it is written
 *   softmax | sigmoid | sqrtsoftplus   the score; `+bias` behind it: a bias joins the key only
 *   groups(N,KEEP,max|sum2[,zero])     choose in the KEEP best of N groups; zero: see zero_fill
 *   topk | hash                        hash goes without noisy, +bias, groups and second
 *   softmax | sigmoid | sparsemixer(J) weights from logits, where there is no score
 *   renorm[(EPSILON)]                  epsilon is 0 for softmax, else 1e-20, unless it is written
 *   second(mesh|nllb|paper)            behind softmax>topk>renorm, k=2
 *   scale(S)
 *   input                              the weight multiplies the expert's input
 * or one word, for a rule with a logic of its own:
 *   base      each of e experts gets T/e tokens (one more for the first T%e of them), such that the
 *             sum of their logits is within T*epsilon of the largest, epsilon = max((largest -
 *             smallest logit)/50, 1e-4), as long as 100 rounds of the auction are enough; k=1. y is
 *             what a residual layer adds to x: with experts F(x) = x + f(x), x + weight*f(x) =
 *             weight*F(x) + (1-weight)*x. To evaluate such a layer use topk>sigmoid, which gives
 *             each token its best expert
 *   expert_choice   each expert takes the C tokens that give it the largest softmax(l), their
 *             weight. capacity=CF,switch says how many, C = round(CF*T/e), at most T: a token has
 *             CF experts on average, and 0 to e of them. So k=e (at most 256): slot (t,j) is expert
 *             j's, and its id is j or, where that has not taken the token, -1 with weight 0. A
 *             token's choice depends on all tokens of the call, later ones too
 *   given     ids and weights are the caller's: moe_io.routing_given is true. An expert may be
 *             given twice to a token, each time with a row of its own; an id that is no expert's is
 *             skipped
 *   peer(HEADS,KEYS[,WIDTH])[>relu]   product keys: expert i*KEYS+j, of e=KEYS^2 single neurons
 *             (f=1), has key i of a head's first KEYS and key j of its second ones. A head's query,
 *             WIDTH numbers of x @ router_weight^T (plus router_bias), meets the first ones with
 *             its first half and the second ones with the other; an expert's logit is the sum of
 *             both products. The head takes the k/HEADS largest, best first (ties: lower id), and
 *             weighs them by their softmax, or each by max(logit, 0); heads follow one another in a
 *             token's slots, and may take the same expert. KEYS is a multiple of 8 to 1024, WIDTH
 *             one of 128 to 1024, 256 unless written. act has no gate; act=none makes each expert a
 *             value, y = sum of weight * value (product-key memory)
 *
 * A capacity is a factor, which a formula and a least may follow: 1.25 | 1.25,switch | 2,nllb |
 * 1.25,switch,min(4). `priority=gate` and `drop=renorm` are written only where they are not the
 * usual order and plain.
 *
 * `layout=gate_up|up_gate|interleaved` is gate_up unless written, `router_dtype=w|f32` is w.
 *
 * `shared=F` and `shared=F,gated` add an expert for every token; several of them are one of their
 * widths' sum. `local=N` is a layer whose other experts are held by other devices, which add what
 * these give.
 *
 * The result is checked for contradictions and limits.
 * MOE_E_PARSE, MOE_E_INVALID, MOE_E_UNSUPPORTED. */
static inline moe_status moe_layer_parse(const char *text, moe_layer *out);

/* The same for a moe_layer of `size` bytes, for languages that do not compile this header:
 * moe_layer_size() is its size. MOE_E_UNSUPPORTED where it has no room for what the text says. */
MOE_API moe_status moe_layer_parse_sized(const char *text, size_t size, moe_layer *out);

static inline moe_status moe_layer_parse(const char *text, moe_layer *out) {
    return moe_layer_parse_sized(text, sizeof *out, out);
}

/* Writes the canonical one-line text, NUL-terminated; parse(print(x)) == x. MOE_LAYER_TEXT_SIZE
 * bytes are always enough. MOE_E_INVALID if `size` is too small. */
MOE_API moe_status moe_layer_print(const moe_layer *layer, char *text, size_t size);

/* sizeof(moe_layer), for languages that hold a layer without knowing its fields. */
MOE_API size_t moe_layer_size(void);

/* True where the activation has a gate: the up weights then hold 2f rows an expert. */
MOE_API bool moe_layer_gated(const moe_layer *layer);

/* C, the rows that an expert keeps at T tokens by the layer's formula; T*k without a limit. */
MOE_API int64_t moe_layer_capacity(const moe_layer *layer, int64_t tokens);

/* Bytes of one element. */
MOE_API size_t moe_dtype_size(moe_dtype dtype);

/* The name of a dtype, such as "bf16". Never NULL. */
MOE_API const char *moe_dtype_text(moe_dtype dtype);

/* ---------------------------------------------------------------------------------- device */

typedef struct moe_device moe_device;

/* Opens a device: "cuda:N", "sim:<chip>" (a simulated GPU, such as "sim:h100"; options follow as
 * in "sim:h100,seed=7"), "null" (accepts everything, runs nothing) or "auto" (the first GPU, never
 * a simulated one). The simulated GPU is a library of its own, libmoetune_sim, which is opened from
 * beside this one, or the program that holds it, else from the loader's path, and only where it is
 * asked for. MOE_E_NOT_FOUND, MOE_E_LIBRARY (a driver, or libmoetune_sim, is missing or does not
 * fit), MOE_E_DEVICE. */
MOE_API moe_status moe_device_open(const char *name, moe_device **out);
MOE_API void moe_device_close(moe_device *device);

/* One line of facts: arch, name, SMs, shared memory, L2, ... Owned by the device. */
MOE_API const char *moe_device_text(const moe_device *device);

/* Device memory and copies, for callers without a framework of their own. Copies are synchronous.
 * Pointers are device addresses: never dereference them on the host. Frameworks may pass their own
 * pointers of the same GPU to moe_plan_run instead. MOE_E_MEMORY, MOE_E_DEVICE, MOE_E_FAULT. */
MOE_API moe_status moe_device_alloc(moe_device *device, size_t bytes, void **out);
MOE_API moe_status moe_device_free(moe_device *device, void *memory);
MOE_API moe_status moe_device_copy_in(moe_device *device, void *to, const void *host, size_t bytes);
MOE_API moe_status moe_device_copy_out(moe_device *device, void *host, const void *from,
                                       size_t bytes);

/* Waits for a stream (NULL: the default stream) and reports what failed on it. */
MOE_API moe_status moe_device_sync(moe_device *device, void *stream);

/* -------------------------------------------------------------------------------- database */

typedef struct moe_db moe_db;

/* Opens a tuning database for reading. NULL: $MOETUNE_DB, else the file that `moetune tune` writes
 * by default ($XDG_CACHE_HOME or ~/.cache, then moetune/tuning.db).
 * MOE_E_NOT_FOUND, MOE_E_CORRUPT (not a database, or one of another schema). */
MOE_API moe_status moe_db_open(const char *path, moe_db **out);

/* Lays another database over an open one: where both have a row, the one laid last wins. */
MOE_API moe_status moe_db_overlay(moe_db *db, const char *path);
MOE_API void moe_db_close(moe_db *db);

/* ------------------------------------------------------------------------------------ plan */

typedef struct moe_plan moe_plan;

/* How well a database row fits what was asked, best first. */
typedef enum moe_match {
    MOE_MATCH_ANY,         /* whatever there is: as options.worst, never of a row */
    MOE_MATCH_EXACT,       /* tuned for this layer, token bucket and device */
    MOE_MATCH_NEAR_TOKENS, /* tuned for another token count, routing class or cache regime */
    MOE_MATCH_NEAR_DEVICE, /* tuned on another device, whose code this one runs */
    MOE_MATCH_DEFAULT,     /* never timed: the template's default config */
    MOE_MATCH_COUNT
} moe_match;

/* The name of a match, such as "near_tokens". Never NULL. */
MOE_API const char *moe_match_text(moe_match match);

typedef struct moe_plan_options {
    size_t size;         /* sizeof(moe_plan_options) */
    int64_t max_tokens;  /* largest T that will be run; 0: no limit */
    moe_match worst;     /* refuse rows and token counts that fit worse; 0, MOE_MATCH_ANY: none */
    const char *routing; /* routing class to plan for; NULL: "uniform" */
    const char *cache;   /* "cold" or "warm"; NULL: "cold" */
    bool any_order;      /* also allow kernels whose sums are not bitwise repeatable */
} moe_plan_options;

/* Resolves `layer` on `device` and loads every kernel it can need. options NULL, or
 * all 0 but for the size: no token limit, any match, uniform, cold, repeatable sums. The plan keeps
 * using `device`, but not `db`. MOE_E_NOT_FOUND (no row fits: the text says which op, and the
 * command that tunes it), MOE_E_DEVICE, MOE_E_MEMORY. */
MOE_API moe_status moe_plan_create(moe_db *db, moe_device *device, const moe_layer *layer,
                                   const moe_plan_options *options, moe_plan **out);
MOE_API void moe_plan_destroy(moe_plan *plan);

/* Bytes of device memory that a run of T tokens needs as workspace; a workspace for T serves every
 * smaller T. It must start at a multiple of 256 bytes and serve one run at a time. */
MOE_API moe_status moe_plan_workspace(const moe_plan *plan, int64_t tokens, size_t *out);

/* The worst match among the kernels that a run of T tokens uses. */
MOE_API moe_status moe_plan_match(const moe_plan *plan, int64_t tokens, moe_match *out);

/* Explains the plan at T tokens: a line for each op with its template, config, match and reason.
 * NUL-terminated, cut off at `size`. */
MOE_API moe_status moe_plan_explain(const moe_plan *plan, int64_t tokens, char *text, size_t size);

/* How evenly a router loads its experts. T tokens, mean over them; f1_e and f_e are the tokens
 * whose first, and any, choice is expert e; P_e is the mean softmax of the logits. CV^2 is
 * var/(mean^2 + 1e-10) over experts, with the variance of a whole population. */
typedef enum moe_loss {
    MOE_LOSS_SWITCH,     /* e * sum of f1_e/T * P_e: 1 where even (GShard, Switch, Mesh
                            TensorFlow) */
    MOE_LOSS_CHOICES,    /* e * sum of f_e/T * P_e: k where even (transformers, flaxformer) */
    MOE_LOSS_IMPORTANCE, /* CV^2 of each expert's sum of weights (sparsely-gated MoE) */
    MOE_LOSS_LOAD,       /* CV^2 of f_e (the same) */
    MOE_LOSS_Z,          /* mean of logsumexp(logits)^2 (ST-MoE) */
    MOE_LOSS_ENTROPY,    /* mean entropy of softmax(logits), in nats */
    MOE_LOSS_COUNT
} moe_loss;

/* Device pointers of one run. Pointers that a layer has no use for may be NULL. x, y, the weights
 * and their biases start at multiples of 16 bytes, the rest at multiples of an element's size. */
typedef struct moe_io {
    size_t size; /* sizeof(moe_io) */
    /* inputs */
    const void *x;             /* [T,d] */
    const void *router_weight; /* [e,d] in w's dtype, or f32; unused where logits or routing are
                                  given; of peer the queries, [HEADS*WIDTH,d] */
    const void *router_keys;   /* [HEADS,2,KEYS,WIDTH/2], of peer only */
    const float *router_bias;  /* [e], added to the logits (bias=router) or the keys (+bias); of
                                  peer [HEADS*WIDTH], added to the queries */
    const void *up;            /* gated: [e,2f,d], rows in the layer's layout; else [e,f,d] */
    const void *up_bias;       /* gated: [e,2f]; else [e,f]; bias=up only */
    const void *down;          /* [e,d,f]; both have `local` experts instead of e where that is
                                  set */
    const void *down_bias;     /* [e,d]; bias=down only; weighted like the row it joins */
    const void *shared_up;     /* gated: [2F,d], rows in the layer's layout; else [F,d]; shared=F */
    const void *shared_down;   /* [d,F] */
    const void *shared_gate;   /* [d]; shared=F,gated */
    int first_expert;          /* id of the first expert of up and down; 0 but for local=N */
    const float *logits;       /* [T,e], optional: given logits replace the router GEMM and bias; of
                                  peer [T,HEADS,2,KEYS], the products of queries and keys */
    bool routing_given;        /* true: ids and weights below are inputs and no router runs */
    const void *router_noise;  /* [e,d] in router_weight's dtype; noisy; unused where logits are
                                  given */
    const int *token_ids;      /* [T], hash */
    const int *expert_table;   /* [vocab,k], hash */
    int64_t vocab;             /* rows of expert_table, below 2^31 */
    const uint64_t *seed;      /* [1], optional; NULL: nothing is drawn. Read when kernels run, so
                                  that a captured graph draws anew; give each layer and step its
                                  own */
    /* outputs */
    void *y;       /* [T,d] in x's dtype */
    int *ids;      /* [T,k] i32, best first; NULL: kept in the workspace (not if routing_given) */
    float *weights; /* [T,k]; a slot that capacity dropped keeps its weight here; NULL as above */
    int *counts;   /* [e], optional: rows that chose each expert, before any drop; 0 or that
                      for experts that other devices hold */
    float *mean_probs; /* [e], optional: mean over tokens of softmax(logits); 0 if routing_given;
                          NULL for peer, which knows the logits of few experts */
    float *losses; /* [MOE_LOSS_COUNT], optional, by moe_loss; 0 if T is 0 or routing_given; NULL
                      for rules of one word, which need none */
    float *next_router_bias; /* [e], optional, where keys have a bias: router_bias + bias_rate for
                                experts with less than their even share of the choices, - for those
                                with more; may be router_bias. Not written if T is 0 or
                                routing_given */
    float bias_rate;
    int *slot_rows; /* [T,k], optional: row of each slot among the kept rows; -1 where dropped; NULL
                       for peer, which makes no rows */
    /* scratch */
    void *workspace;       /* at least moe_plan_workspace() bytes */
    size_t workspace_size; /* bytes of it */
} moe_io;

/* ---------------------------------------------------------------------------------- tensors */

/* Where the experts of a token come from. */
typedef enum moe_entry {
    MOE_ENTRY_ROUTER, /* the router: x @ router_weight^T */
    MOE_ENTRY_LOGITS, /* io.logits stand in for that product */
    MOE_ENTRY_GIVEN,  /* io.routing_given: ids and weights are inputs */
    MOE_ENTRY_COUNT
} moe_entry;

typedef enum moe_role {
    MOE_ROLE_INPUT,
    MOE_ROLE_WEIGHT,
    MOE_ROLE_BIAS,
    MOE_ROLE_OUTPUT,
    MOE_ROLE_SCRATCH /* of the workspace */
} moe_role;

typedef enum moe_need {
    MOE_NEED_UNUSED,   /* no kernel looks at it; an output that is given all the same is 0, or left
                          as it is */
    MOE_NEED_OPTIONAL, /* NULL: it stands in the workspace, or is not made */
    MOE_NEED_NEEDED
} moe_need;

enum { MOE_MAX_RANK = 5 };

/* One tensor of a layer: a pointer of moe_io, and what it points at. */
typedef struct moe_tensor_desc {
    size_t size;      /* sizeof(moe_tensor_desc) */
    const char *name; /* of the member of moe_io */
    const char *file; /* its key in the files of `moetune run`; NULL: it has none */
    moe_role role;
    moe_dtype dtype;
    int rank;
    int64_t shape[MOE_MAX_RANK]; /* slowest first; -1: any, as of expert_table's rows */
    bool present;                /* the layer has it */
    moe_need need[MOE_ENTRY_COUNT]; /* by where the experts come from */
    unsigned align;              /* bytes that its address is a multiple of */
    size_t io_offset;            /* of the pointer in moe_io */
} moe_tensor_desc;

/* Tensor `index` of a layer at T tokens; they count from 0. A binding that loops over them needs no
 * list of its own. Texts are the library's. MOE_E_NOT_FOUND behind the last one, MOE_E_INVALID. */
MOE_API moe_status moe_layer_tensor_sized(const moe_layer *layer, int64_t tokens, int index,
                                          size_t size, moe_tensor_desc *out);

static inline moe_status moe_layer_tensor(const moe_layer *layer, int64_t tokens, int index,
                                          moe_tensor_desc *out) {
    return moe_layer_tensor_sized(layer, tokens, index, sizeof *out, out);
}

/* What a run of the layer wants of one pointer of moe_io, called `member` as there, such as
 * "router_bias". The workspace, which is no tensor, is always needed. MOE_E_NOT_FOUND (no such
 * tensor), MOE_E_INVALID (a layer whose router is `given` enters by MOE_ENTRY_GIVEN alone). */
MOE_API moe_status moe_layer_needs(const moe_layer *layer, moe_entry entry, const char *member,
                                   moe_need *out);

/* ------------------------------------------------------------------------------------- runs */

/* Enqueues the layer on a stream (CUstream or cudaStream_t; NULL: the default stream) and returns
 * without waiting. T = 0 enqueues nothing but zeroed statistics. On a simulated device it runs
 * before it returns. MOE_E_INVALID (a needed pointer is NULL or misaligned, workspace too small,
 * T > max_tokens, T*k near 2^31), MOE_E_NOT_FOUND (T fits worse than options.worst), MOE_E_DEVICE,
 * MOE_E_FAULT. */
MOE_API moe_status moe_plan_run(const moe_plan *plan, const moe_io *io, int64_t tokens,
                                void *stream);

/* A run of T tokens on constant pointers, made once and enqueued often: arguments are packed, grids
 * sized and tensor maps encoded, so that a run costs the host little but the launches themselves.
 * It borrows the plan and the memory behind the pointers, which must outlive it; `io` itself may
 * go. */
typedef struct moe_bound moe_bound;

/* Makes one; nothing is enqueued. Errors are those of moe_plan_run, and MOE_E_MEMORY. */
MOE_API moe_status moe_plan_bind(const moe_plan *plan, const moe_io *io, int64_t tokens,
                                 moe_bound **out);

/* Enqueues it on a stream and returns without waiting: no allocation, lock or look at the pointers.
 * As often as wanted, on any stream, from any thread, and into a graph under capture; but its
 * workspace and outputs serve one run at a time, so runs on several streams must follow one
 * another. A captured graph holds the pointers and the plan's code, not the bound run, which may go
 * before it; the plan may not. MOE_E_DEVICE, MOE_E_FAULT. */
MOE_API moe_status moe_bound_run(const moe_bound *bound, void *stream);
MOE_API void moe_bound_destroy(moe_bound *bound);

/* --------------------------------------------------------------------------------- experts */

/* The weighted average of n experts' weights, on the host: out[i] is the sum of mix[j] *
 * expert[j][i] over the sum of mix, in double and rounded once. Arrays hold `count` elements of a
 * dtype; any part of an expert may be averaged by itself, and `out` may be one of the experts. So
 * experts that were trained apart become one (branch-train-merge). MOE_E_INVALID (no expert, a
 * NULL, or a mix below 0, not finite or 0 in all). */
MOE_API moe_status moe_merge_experts(moe_dtype dtype, const void *const *expert, const double *mix,
                                     int64_t n, int64_t count, void *out);

#ifdef __cplusplus
}
#endif
#endif
