/* router.c - the choices of a router: text form and limits.
 *
 * The text is a list of stages. One table says what each is called, where it may stand, how many
 * numbers it takes and how it is read and written; parsing and printing loop over it. */
#include "core/router.h"

#include "core/rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const moe_score_names[] = {
    [MOE_SCORE_LOGIT] = "",          [MOE_SCORE_SOFTMAX] = "softmax",
    [MOE_SCORE_SIGMOID] = "sigmoid", [MOE_SCORE_SQRTSOFTPLUS] = "sqrtsoftplus",
    [MOE_SCORE_COUNT] = NULL,
};

const char *const moe_weigh_names[] = {
    [MOE_WEIGH_SCORE] = "",          [MOE_WEIGH_SOFTMAX] = "softmax",
    [MOE_WEIGH_SIGMOID] = "sigmoid", [MOE_WEIGH_SPARSEMIXER] = "sparsemixer",
    [MOE_WEIGH_RELU] = "relu",
    [MOE_WEIGH_COUNT] = NULL,
};

const char *const moe_pick_names[] = {
    [MOE_PICK_TOPK] = "topk", [MOE_PICK_HASH] = "hash", [MOE_PICK_COUNT] = NULL};

const char *const moe_second_names[] = {
    [MOE_SECOND_ALWAYS] = "",     [MOE_SECOND_MESH] = "mesh", [MOE_SECOND_NLLB] = "nllb",
    [MOE_SECOND_PAPER] = "paper", [MOE_SECOND_COUNT] = NULL,
};

const char *const moe_group_names[] = {
    [MOE_GROUP_MAX] = "max", [MOE_GROUP_SUM2] = "sum2", [MOE_GROUP_COUNT] = NULL};

enum { STAGE_SIZE = 64 };

/* ---------------------------------------------------------------------------------- stages */

/* Where stages stand, from left to right. */
enum { AT_JITTER, AT_NOISE, AT_SCORE, AT_GROUPS, AT_PICK, AT_WEIGH, AT_RENORM, AT_SECOND, AT_SCALE,
       AT_INPUT };

static const double noise_epsilon = 0.01; /* of `noisy` without a number, as in Tensor2Tensor */

typedef struct stage {
    const char *name;
    int place;
    int value; /* what the stage stands for, where its place has several */
    /* Reads what stands in the parentheses, NULL without these; false if it is not right. */
    bool (*read)(const char *inside, moe_router *router);
    const char *form; /* how it should be written */
} stage;

static bool read_number(const char *text, double *out) {
    return text && !moe_real_parse(text, out) && isfinite(*out) && *out > 0;
}

static bool read_nothing(const char *inside, moe_router *router) {
    (void)router;
    return !inside;
}

static bool read_jitter(const char *inside, moe_router *router) {
    char number[24] = "", all[8] = "", more;
    if (!inside) return false;
    int read = sscanf(inside, "%23[^,],%7[a-z]%c", number, all, &more);
    router->jitter_experts = read == 2 && !strcmp(all, "all");
    return (read == 1 || router->jitter_experts) && !strchr(inside, ',') != router->jitter_experts &&
           read_number(number, &router->jitter_input);
}

static bool read_noisy(const char *inside, moe_router *router) {
    router->noise = noise_epsilon;
    return !inside || read_number(inside, &router->noise);
}

static bool read_second(const char *inside, moe_router *router) {
    int law = MOE_SECOND_COUNT - 1;
    while (inside && law > 0 && strcmp(inside, moe_second_names[law])) law--;
    router->second = inside ? (moe_second)law : MOE_SECOND_ALWAYS;
    return router->second != MOE_SECOND_ALWAYS;
}

static bool read_groups(const char *inside, moe_router *router) {
    long long groups, kept;
    char rule[8] = "", fill[8] = "", more;
    if (!inside) return false;
    int read = sscanf(inside, "%9lld,%9lld,%7[a-z0-9],%7[a-z]%c", &groups, &kept, rule, fill, &more);
    router->groups = groups, router->groups_kept = kept;
    router->zero_fill = read == 4 && !strcmp(fill, "zero");
    router->group_rule = strcmp(rule, "max") ? MOE_GROUP_SUM2 : MOE_GROUP_MAX;
    return (read == 3 || router->zero_fill) &&
           !strcmp(rule, moe_group_names[router->group_rule]) && groups > 0 && kept > 0;
}

static bool read_sparsemixer(const char *inside, moe_router *router) {
    return read_number(inside, &router->jitter);
}

static bool read_renorm(const char *inside, moe_router *router) {
    router->renorm = true;
    router->epsilon = moe_router_epsilon(router->score);
    return !inside || read_number(inside, &router->epsilon);
}

static bool read_scale(const char *inside, moe_router *router) {
    return read_number(inside, &router->scale);
}

static bool read_input(const char *inside, moe_router *router) {
    router->input = true;
    return !inside;
}

static const stage stages[] = {
    {"jitter", AT_JITTER, 0, read_jitter, "jitter(0.01) or jitter(0.01,all)"},
    {"noisy", AT_NOISE, 0, read_noisy, "noisy or noisy(0.01)"},
    {"softmax", AT_SCORE, MOE_SCORE_SOFTMAX, read_nothing, "softmax"},
    {"sigmoid", AT_SCORE, MOE_SCORE_SIGMOID, read_nothing, "sigmoid"},
    {"sqrtsoftplus", AT_SCORE, MOE_SCORE_SQRTSOFTPLUS, read_nothing, "sqrtsoftplus"},
    {"groups", AT_GROUPS, 0, read_groups,
     "groups(8,4,sum2), groups(8,3,max) or groups(8,4,sum2,zero)"},
    {"topk", AT_PICK, MOE_PICK_TOPK, read_nothing, "topk"},
    {"hash", AT_PICK, MOE_PICK_HASH, read_nothing, "hash"},
    {"softmax", AT_WEIGH, MOE_WEIGH_SOFTMAX, read_nothing, "softmax"},
    {"sigmoid", AT_WEIGH, MOE_WEIGH_SIGMOID, read_nothing, "sigmoid"},
    {"sparsemixer", AT_WEIGH, MOE_WEIGH_SPARSEMIXER, read_sparsemixer, "sparsemixer(0.01)"},
    {"renorm", AT_RENORM, 0, read_renorm, "renorm or renorm(1e-20)"},
    {"second", AT_SECOND, 0, read_second, "second(mesh), second(nllb) or second(paper)"},
    {"scale", AT_SCALE, 0, read_scale, "scale(2.5)"},
    {"input", AT_INPUT, 0, read_input, "input"},
};

enum { STAGES = sizeof stages / sizeof *stages };

double moe_router_epsilon(moe_score score) { return score == MOE_SCORE_SOFTMAX ? 0 : 1e-20; }

/* ----------------------------------------------------------------------------------- parse */

/* The stage called so behind `place`, or NULL. */
static const stage *find_stage(const char *name, int place) {
    for (int i = 0; i < STAGES; i++)
        if (stages[i].place > place && !strcmp(stages[i].name, name)) return &stages[i];
    return NULL;
}

static moe_status no_such_stage(const char *name) {
    for (int i = 0; i < STAGES; i++)
        if (!strcmp(stages[i].name, name))
            return moe_fail(MOE_E_PARSE,
                            "'%s' stands too late or twice; stages come in the order: jitter, "
                            "noisy, score, groups, topk or hash, softmax or sigmoid, renorm, second, "
                            "scale, input",
                            name);
    return moe_fail(MOE_E_PARSE, "'%s' is no stage of a router; write it like softmax>topk>renorm",
                    name);
}

/* Cuts "+bias" off a score. */
static bool cut_bias(char *text) {
    char *plus = strchr(text, '+');
    if (!plus || strcmp(plus, "+bias")) return false;
    *plus = '\0';
    return true;
}

static moe_status parse_stage(char *text, int *place, moe_router *router) {
    bool bias = cut_bias(text);
    char *open = strchr(text, '('), *inside = NULL;
    size_t length = strlen(text);
    if (open && text[length - 1] == ')') {
        text[length - 1] = *open = '\0';
        inside = open + 1;
    }
    const stage *found = find_stage(text, *place);
    if (!found) return no_such_stage(text);
    if (bias && found->place != AT_SCORE)
        return moe_fail(MOE_E_PARSE, "'+bias' stands behind a score, as in sigmoid+bias>topk");
    if (found->place == AT_SCORE) router->score = (moe_score)found->value;
    if (found->place == AT_PICK) router->pick = (moe_pick)found->value;
    if (found->place == AT_WEIGH) router->weigh = (moe_weigh)found->value;
    router->key_bias |= bias;
    *place = found->place;
    return found->read(inside, router)
               ? MOE_OK
               : moe_fail(MOE_E_PARSE, "'%s' should read like %s, with numbers above 0", text,
                          found->form);
}

static moe_status parse_router(const moe_field *field, const char *text, void *value) {
    (void)field;
    if (moe_rule_named(text)) return moe_rule_parse(text, value);
    moe_router router = {.scale = 1};
    int place = -1;
    bool picks = false;
    for (size_t length; *text; text += length + (text[length] == '>')) {
        char word[STAGE_SIZE];
        length = strcspn(text, ">");
        if (length >= sizeof word)
            return moe_fail(MOE_E_PARSE, "'%.32s...' is no stage of a router", text);
        memcpy(word, text, length);
        word[length] = '\0';
        MOE_TRY(parse_stage(word, &place, &router));
        picks |= place == AT_PICK;
    }
    if (!picks) return moe_fail(MOE_E_PARSE, "'topk' is missing, as in softmax>topk>renorm");
    *(moe_router *)value = router;
    return MOE_OK;
}

/* ----------------------------------------------------------------------------------- print */

static void print_number(const char *name, double number, moe_text *out) {
    moe_text_add(out, ">%s(", name);
    moe_text_add_real(out, number);
    moe_text_add(out, ")");
}

static void print_weights(const moe_router *r, moe_text *out) {
    if (r->weigh == MOE_WEIGH_SPARSEMIXER)
        print_number("sparsemixer", r->jitter, out);
    else if (r->weigh)
        moe_text_add(out, ">%s", moe_weigh_names[r->weigh]);
    if (r->renorm && r->epsilon != moe_router_epsilon(r->score))
        print_number("renorm", r->epsilon, out);
    else if (r->renorm)
        moe_text_add(out, ">renorm");
    if (r->second) moe_text_add(out, ">second(%s)", moe_second_names[r->second]);
    if (r->scale != 1) print_number("scale", r->scale, out);
    if (r->input) moe_text_add(out, ">input");
}

static void print_draws(const moe_router *r, moe_text *out) {
    if (r->jitter_input) {
        moe_text_add(out, "jitter(");
        moe_text_add_real(out, r->jitter_input);
        moe_text_add(out, "%s)>", r->jitter_experts ? ",all" : "");
    }
    if (!r->noise) return;
    moe_text_add(out, "noisy");
    if (r->noise != noise_epsilon) {
        moe_text_add(out, "(");
        moe_text_add_real(out, r->noise);
        moe_text_add(out, ")");
    }
    moe_text_add(out, ">");
}

static void print_router(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const moe_router *r = value;
    if (r->rule != MOE_RULE_TOPK) {
        moe_rule_print(r, out);
        return;
    }
    print_draws(r, out);
    if (r->score) moe_text_add(out, "%s%s>", moe_score_names[r->score], r->key_bias ? "+bias" : "");
    if (r->groups)
        moe_text_add(out, "groups(%lld,%lld,%s%s)>", (long long)r->groups,
                     (long long)r->groups_kept, moe_group_names[r->group_rule],
                     r->zero_fill ? ",zero" : "");
    moe_text_add(out, "%s", moe_pick_names[r->pick]);
    print_weights(r, out);
}

const moe_field_type moe_field_router = {parse_router, print_router, false};

/* ---------------------------------------------------------------------------------- limits */

static moe_status check_groups(const moe_router *r, int64_t e, int64_t k) {
    if (r->groups > MOE_MAX_GROUPS)
        return moe_fail(MOE_E_INVALID, "router: %lld groups are more than %d", (long long)r->groups,
                        MOE_MAX_GROUPS);
    if (e % r->groups)
        return moe_fail(MOE_E_INVALID, "router: %lld groups do not divide e=%lld experts",
                        (long long)r->groups, (long long)e);
    if (r->groups_kept > r->groups)
        return moe_fail(MOE_E_INVALID, "router: %lld groups cannot be kept of %lld",
                        (long long)r->groups_kept, (long long)r->groups);
    if (r->groups_kept * (e / r->groups) < k)
        return moe_fail(MOE_E_INVALID, "router: %lld groups hold fewer than k=%lld experts",
                        (long long)r->groups_kept, (long long)k);
    if (r->group_rule == MOE_GROUP_SUM2 && e / r->groups < 2)
        return moe_fail(MOE_E_INVALID, "router: sum2 needs two experts in a group");
    if (r->zero_fill && !r->key_bias)
        return moe_fail(MOE_E_INVALID, "router: zero makes no difference without +bias, since "
                                       "scores are above 0; leave it out");
    return MOE_OK;
}

/* What is picked by token ids takes no part in a selection. */
static moe_status check_hash(const moe_router *r) {
    if (r->noise || r->key_bias || r->groups)
        return moe_fail(MOE_E_INVALID, "router: hash selects by token ids; noisy, +bias and groups are "
                                       "for topk");
    if (r->weigh == MOE_WEIGH_SPARSEMIXER)
        return moe_fail(MOE_E_INVALID, "router: sparsemixer weighs the k best, and hash picks others");
    return MOE_OK;
}

static moe_status check_second(const moe_router *r) {
    bool plain = r->pick == MOE_PICK_TOPK && !r->key_bias && !r->groups && r->scale == 1 && !r->input;
    if (r->score != MOE_SCORE_SOFTMAX || !r->renorm || !plain)
        return moe_fail(MOE_E_INVALID, "router: second(%s) goes with softmax>topk>renorm alone",
                        moe_second_names[r->second]);
    return MOE_OK;
}

moe_status moe_router_check(const moe_router *r, int64_t e, int64_t k) {
    if (r->score != MOE_SCORE_LOGIT && r->weigh != MOE_WEIGH_SCORE)
        return moe_fail(MOE_E_INVALID, "router: %s before topk and %s behind it; one of them",
                        moe_score_names[r->score], moe_weigh_names[r->weigh]);
    if (r->key_bias && r->score == MOE_SCORE_LOGIT)
        return moe_fail(MOE_E_INVALID, "router: a bias of keys needs a score; a bias of logits is "
                                       "bias=router");
    if (r->renorm && r->weigh == MOE_WEIGH_SOFTMAX)
        return moe_fail(MOE_E_INVALID, "router: softmax over the chosen adds up to 1 already; "
                                       "leave renorm out");
    if (r->renorm && r->score == MOE_SCORE_LOGIT && r->weigh == MOE_WEIGH_SCORE)
        return moe_fail(MOE_E_INVALID, "router: logits may add up to 0; give them a score");
    if (r->jitter_input >= 1)
        return moe_fail(MOE_E_INVALID, "router: jitter(%g) would turn inputs round; it is below 1",
                        r->jitter_input);
    if (r->pick == MOE_PICK_HASH) MOE_TRY(check_hash(r));
    if (r->second) MOE_TRY(check_second(r));
    return r->groups ? check_groups(r, e, k) : MOE_OK;
}

bool moe_router_draws(const moe_router *r) { return r->jitter_input || r->noise || r->second; }

bool moe_router_selects_logits(const moe_router *r) {
    bool by_sum = r->groups && r->group_rule == MOE_GROUP_SUM2 && r->score != MOE_SCORE_LOGIT;
    return !r->key_bias && !by_sum;
}
