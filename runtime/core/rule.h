/* rule.h - rules of a router: a row each, which says what others must know of it, and its text. */
#ifndef MOE_RULE_H
#define MOE_RULE_H

#include "core/text.h"

/* A token, or a head of it, has MOE_MAX_TOPK experts where it chooses them; MOE_MAX_SLOTS are those
 * of all heads, or where experts choose the token. */
enum { MOE_MAX_EXPERTS = 2048, MOE_MAX_TOPK = 32, MOE_MAX_SLOTS = 256, MOE_MAX_NEURONS = 1 << 20,
       MOE_MAX_KEYS = 1024, MOE_MAX_KEY_WIDTH = 1024 };

typedef struct moe_rule_info {
    const char *name;
    const char *words;   /* what it does, for people; NULL: its stages say it */
    moe_score score;     /* what its weights are, where no stages say it */
    moe_weigh weigh;
    bool routes;         /* there is a router; else ids and weights are the caller's */
    bool whole;          /* a token's choice depends on all tokens of the call */
    bool experts_choose; /* slot j of a token is expert j's, so k=e; what they leave is -1 */
    bool keys;           /* it finds single neurons: logits are products of queries and keys */
    bool losses;         /* experts may be loaded unevenly: there is something to even out */
    moe_status (*check)(const moe_layer *layer);
    /* What stands behind the name, from "(" on, and how it should be written; NULL: nothing. */
    bool (*read)(const char *inside, moe_router *router);
    void (*print)(const moe_router *router, moe_text *out);
    const char *form;
} moe_rule_info;

extern const moe_rule_info moe_rule_table[]; /* by moe_rule */

/* The row of a layer's rule. */
const moe_rule_info *moe_layer_rule(const moe_layer *layer);

/* A field whose value is a moe_router: a rule of one word, or stages. */
extern const moe_field_type moe_field_router;

/* MOE_E_INVALID with the reason, unless the layer's other fields agree with its router's rule. */
moe_status moe_rule_check(const moe_layer *layer);

/* True where the layer has a router. */
bool moe_layer_routes(const moe_layer *layer);

/* Rows of the router's weight: e, or what the queries of all heads have; 0 without a router. */
int64_t moe_layer_queries(const moe_layer *layer);

/* Logits of a token: e, or products of the queries' halves with keys, [heads][2][keys]. */
int64_t moe_layer_logits(const moe_layer *layer);

/* Elements of router_keys; 0 where there are none. */
int64_t moe_layer_keys(const moe_layer *layer);

/* Multiplications that the router's logits take a token. */
int64_t moe_layer_router_work(const moe_layer *layer);

/* How many a token, or a head of it, chooses from, and how many it takes: e and k, or a half's keys
 * and a head's share of k. */
int64_t moe_layer_choices(const moe_layer *layer);
int64_t moe_layer_picks(const moe_layer *layer);

#endif
