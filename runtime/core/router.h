/* router.h - the choices of a router that picks k experts: a row each, and which go together. */
#ifndef MOE_ROUTER_H
#define MOE_ROUTER_H

#include "core/text.h"

enum { MOE_MAX_GROUPS = 32 };

/* One of several at a place of a router: a score, a pick, a weigh, a second or a group rule. What a
 * place has no use for is 0. */
typedef struct moe_choice_info {
    const char *name;  /* as in the router's text, if it is written there */
    bool unwritten;    /* no stage of its own: nothing, or the work of a rule of one word */
    size_t number;     /* where moe_router has the number that it is written with; 0: it has none */
    double usual;      /* such a number */
    bool shares;       /* they add up to 1: scores over all experts, weights over the chosen */
    bool of_best;      /* it is of the k largest keys, and of no others */
    bool jumps;        /* a weight jumps where the last bit of a logit decides who is near */
    bool by_table;     /* experts come from a table, and logits do not pick */
    const char *words; /* what it does, for people; of a score, the weights that it makes */
    const char *keys;  /* what is compared, for people */
} moe_choice_info;

extern const moe_choice_info moe_score_table[];      /* by moe_score */
extern const moe_choice_info moe_pick_table[];       /* by moe_pick */
extern const moe_choice_info moe_weigh_table[];      /* by moe_weigh */
extern const moe_choice_info moe_second_table[];     /* by moe_second */
extern const moe_choice_info moe_group_table[]; /* by moe_group_rule */

/* MOE_E_INVALID with the reason, unless the choices agree with each other and with e experts of
 * which k are chosen. */
moe_status moe_router_check(const moe_router *router, int64_t e, int64_t k);

/* True where the order of keys is that of logits, so that nothing but logits is compared: scores
 * that round to the same number must not make ties. */
bool moe_router_selects_logits(const moe_router *router);

/* True where weights are a softmax over the chosen. So is one over all that is renormalised: all
 * cancels out, and where the chosen are far below the largest, this is not 0/0. */
bool moe_router_among_chosen(const moe_router *router);

/* True where something is drawn at random. */
bool moe_router_draws(const moe_router *router);

/* True where experts come from a table of token ids. */
bool moe_router_looks_up(const moe_router *router);

/* The epsilon of `renorm` without a number. Softmax scores need none: the largest of them is among
 * the chosen. */
double moe_router_epsilon(moe_score score);

#endif
