/* expert_choice.c - experts that take the tokens that make them most probable, and their judge. */
#include "expert_choice.h"

#include "stages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A token, and how probable it makes an expert. */
typedef struct candidate {
    double probability;
    int64_t token;
} candidate;

static int compare_candidates(const void *x, const void *y) {
    const candidate *a = x, *b = y;
    if (a->probability != b->probability) return a->probability < b->probability ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

moe_status moe_expert_choice(const moe_layer *layer, int64_t tokens, const double *logits,
                             int *ids) {
    int64_t room = moe_layer_capacity(layer, tokens), e = layer->e;
    double scores[MOE_MAX_EXPERTS], *all = malloc((size_t)(tokens * e + 1) * sizeof *all);
    candidate *list = malloc((size_t)(tokens + 1) * sizeof *list);
    moe_status status = MOE_OK;
    if (!all || !list)
        status = moe_fail(MOE_E_MEMORY, "no memory for the choice of %lld tokens",
                          (long long)tokens);
    for (int64_t t = 0; t < tokens && !status; t++) {
        moe_stage_scores(layer, logits + t * e, scores);
        memcpy(all + t * e, scores, (size_t)e * sizeof *all);
    }
    for (int64_t i = 0; i < tokens * e; i++) ids[i] = -1;
    for (int64_t i = 0; i < e && !status; i++) {
        for (int64_t t = 0; t < tokens; t++) list[t] = (candidate){all[t * e + i], t};
        qsort(list, (size_t)tokens, sizeof *list, compare_candidates);
        for (int64_t r = 0; r < room && r < tokens; r++) ids[list[r].token * e + i] = (int)i;
    }
    free(all);
    free(list);
    return status;
}

/* Slot (t,j) says whether expert j has taken token t. */
bool moe_takings_are_slots(const moe_route_check *c) {
    int64_t e = c->layer->e;
    for (int64_t s = 0; s < c->tokens * e; s++)
        if (c->got->ids[s] != -1 && c->got->ids[s] != s % e)
            return moe_bad(c->verdict, "ids[%lld,%lld] is %d, should be %lld or -1", LL(s / e),
                           LL(s % e), c->got->ids[s], LL(s % e));
    return true;
}

/* An expert's tokens must be its C most probable ones, as far as the errors of probabilities tell:
 * of the logit itself, of all in the softmax, and of a few fp32 operations. */
moe_status moe_judge_taking(const moe_route_check *c) {
    const moe_layer *layer = c->layer;
    int64_t e = layer->e, room = moe_layer_capacity(layer, c->tokens), cells = c->tokens * e;
    if (room > c->tokens) room = c->tokens;
    double slack = 4 * c->logit_error + 0x1p-19, *p = malloc((size_t)cells * sizeof *p + 1);
    int *every = malloc((size_t)cells * sizeof *every + 1);
    if (!p || !every) {
        free(p);
        free(every);
        return moe_fail(MOE_E_MEMORY, "no memory to judge %lld tokens", LL(c->tokens));
    }
    for (int64_t s = 0; s < cells; s++) every[s] = (int)(s % e);
#pragma omp parallel for
    for (int64_t t = 0; t < c->tokens; t++)
        moe_stage_weigh(layer, c->logits + t * e, every + t * e, 0, p + t * e);
    for (int64_t i = 0; i < e && c->verdict->ok; i++) {
        double least = INFINITY, most = -INFINITY;
        int64_t taken = 0;
        for (int64_t s = i; s < cells; s += e) {
            bool mine = c->got->ids[s] >= 0;
            taken += mine;
            if (!moe_logits_are_finite(c, s / e)) continue;
            if (mine) least = fmin(least, p[s]);
            if (!mine) most = fmax(most, p[s]);
        }
        if (taken != room)
            moe_bad(c->verdict, "expert %lld has taken %lld tokens, should have %lld", LL(i),
                    LL(taken), LL(room));
        else if (least < most * (1 - slack) - 1e-37)
            moe_bad(c->verdict,
                    "expert %lld has taken a token of probability %.9g and left one of %.9g", LL(i),
                    least, most);
    }
    free(p);
    free(every);
    return MOE_OK;
}
