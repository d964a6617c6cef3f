/* stage.c - the text of a router that picks k experts: its stages.
 *
 * One table says, from left to right, what may stand where: one stage, or one of several choices.
 * How each is read and written stands there, too; parsing and printing loop over it. */
#include "core/stage.h"

#include "core/router.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STAGE_SIZE = 64, ORDER_SIZE = 256 };

static const double noise_epsilon = 0.01; /* of `noisy` without a number, as in Tensor2Tensor */

typedef struct place {
    const char *name; /* of the one stage that stands here, and how it should be written */
    const char *form;
    const moe_choice_info *choices; /* or one of these: their number, and where moe_router has it */
    int count;
    size_t member;
    /* Reads what stands in the parentheses, NULL without these; false if it is not right. */
    bool (*read)(const char *inside, moe_router *router);
    void (*print)(const moe_router *router, moe_text *out); /* nothing where it is left out */
} place;

static bool read_number(const char *text, double *out) {
    return text && !moe_real_parse(text, out) && isfinite(*out) && *out > 0;
}

static void print_number(const char *name, double number, moe_text *out) {
    moe_text_add(out, "%s(", name);
    moe_text_add_real(out, number);
    moe_text_add(out, ")");
}

static bool read_jitter(const char *inside, moe_router *router) {
    char number[24] = "", all[8] = "", more;
    if (!inside) return false;
    int read = sscanf(inside, "%23[^,],%7[a-z]%c", number, all, &more);
    router->jitter_experts = read == 2 && !strcmp(all, "all");
    bool listed = strchr(inside, ',');
    return (read == 1 || router->jitter_experts) && listed == router->jitter_experts &&
           read_number(number, &router->jitter_input);
}

static void print_jitter(const moe_router *r, moe_text *out) {
    if (!r->jitter_input) return;
    moe_text_add(out, "jitter(");
    moe_text_add_real(out, r->jitter_input);
    moe_text_add(out, "%s)", r->jitter_experts ? ",all" : "");
}

static bool read_noisy(const char *inside, moe_router *router) {
    router->noise = noise_epsilon;
    return !inside || read_number(inside, &router->noise);
}

static void print_noisy(const moe_router *r, moe_text *out) {
    if (r->noise == noise_epsilon) moe_text_add(out, "noisy");
    else if (r->noise) print_number("noisy", r->noise, out);
}

static bool read_groups(const char *inside, moe_router *router) {
    long long groups, kept;
    char rule[8] = "", fill[8] = "", more;
    if (!inside) return false;
    int read = sscanf(inside, "%9lld,%9lld,%7[a-z0-9],%7[a-z]%c", &groups, &kept, rule, fill,
                      &more);
    int which = MOE_GROUP_COUNT - 1;
    while (which > 0 && strcmp(rule, moe_group_table[which].name)) which--;
    router->groups = groups, router->groups_kept = kept;
    router->zero_fill = read == 4 && !strcmp(fill, "zero");
    router->group_rule = (moe_group_rule)which;
    return (read == 3 || router->zero_fill) && !strcmp(rule, moe_group_table[which].name) &&
           groups > 0 && kept > 0;
}

static void print_groups(const moe_router *r, moe_text *out) {
    if (!r->groups) return;
    moe_text_add(out, "groups(%lld,%lld,%s%s)", (long long)r->groups, (long long)r->groups_kept,
                 moe_group_table[r->group_rule].name, r->zero_fill ? ",zero" : "");
}

static bool read_renorm(const char *inside, moe_router *router) {
    router->renorm = true;
    router->epsilon = moe_router_epsilon(router->score);
    return !inside || read_number(inside, &router->epsilon);
}

static void print_renorm(const moe_router *r, moe_text *out) {
    if (r->renorm && r->epsilon != moe_router_epsilon(r->score))
        print_number("renorm", r->epsilon, out);
    else if (r->renorm)
        moe_text_add(out, "renorm");
}

static bool read_second(const char *inside, moe_router *router) {
    int law = MOE_SECOND_COUNT - 1;
    while (inside && law > 0 && strcmp(inside, moe_second_table[law].name)) law--;
    router->second = inside ? (moe_second)law : MOE_SECOND_ALWAYS;
    return router->second != MOE_SECOND_ALWAYS;
}

static void print_second(const moe_router *r, moe_text *out) {
    if (r->second) moe_text_add(out, "second(%s)", moe_second_table[r->second].name);
}

static bool read_scale(const char *inside, moe_router *router) {
    return read_number(inside, &router->scale);
}

static void print_scale(const moe_router *r, moe_text *out) {
    if (r->scale != 1) print_number("scale", r->scale, out);
}

static bool read_input(const char *inside, moe_router *router) {
    router->input = true;
    return !inside;
}

static void print_input(const moe_router *r, moe_text *out) {
    if (r->input) moe_text_add(out, "input");
}

/* ---------------------------------------------------------------------------------- places */

enum { AT_JITTER, AT_NOISE, AT_SCORE, AT_GROUPS, AT_PICK, AT_WEIGH, AT_RENORM, AT_SECOND, AT_SCALE,
       AT_INPUT, PLACES };

#define STAGE(name, form) {#name, form, NULL, 0, 0, read_##name, print_##name}
#define CHOICE(rows, count, member)                                                                \
    {NULL, NULL, rows, count, offsetof(moe_router, member), NULL, NULL}
static const place places[PLACES] = {
    [AT_JITTER] = STAGE(jitter, "jitter(0.01) or jitter(0.01,all)"),
    [AT_NOISE] = STAGE(noisy, "noisy or noisy(0.01)"),
    [AT_SCORE] = CHOICE(moe_score_table, MOE_SCORE_COUNT, score),
    [AT_GROUPS] = STAGE(groups, "groups(8,4,sum2), groups(8,3,max) or groups(8,4,sum2,zero)"),
    [AT_PICK] = CHOICE(moe_pick_table, MOE_PICK_COUNT, pick),
    [AT_WEIGH] = CHOICE(moe_weigh_table, MOE_WEIGH_COUNT, weigh),
    [AT_RENORM] = STAGE(renorm, "renorm or renorm(1e-20)"),
    [AT_SECOND] = STAGE(second, "second(mesh), second(nllb) or second(paper)"),
    [AT_SCALE] = STAGE(scale, "scale(2.5)"),
    [AT_INPUT] = STAGE(input, "input"),
};
#undef STAGE
#undef CHOICE

static int *choice_in(const place *at, moe_router *router) {
    return (int *)((char *)router + at->member);
}

static double *number_in(const moe_choice_info *choice, moe_router *router) {
    return (double *)((char *)router + choice->number);
}

/* Which of the place's choices is called so; its count where none is. */
static int find_choice(const place *at, const char *name) {
    int i = 0;
    while (i < at->count && (at->choices[i].unwritten || strcmp(at->choices[i].name, name))) i++;
    return i;
}

static bool has(const place *at, const char *name) {
    return at->name ? !strcmp(at->name, name) : find_choice(at, name) < at->count;
}

/* ----------------------------------------------------------------------------------- parse */

/* What may stand at a place. */
static void add_names(const place *at, moe_text *out) {
    const char *joint = "";
    if (at->name) moe_text_add(out, "%s", at->name);
    for (int i = 0; i < at->count; i++) {
        if (at->choices[i].unwritten) continue;
        moe_text_add(out, "%s%s", joint, at->choices[i].name);
        joint = " or ";
    }
}

static moe_status stands_too_late(const char *name) {
    char data[ORDER_SIZE];
    moe_text order = moe_text_start(data, sizeof data);
    for (int i = 0; i < PLACES; i++) {
        if (i > 0) moe_text_add(&order, ", ");
        add_names(&places[i], &order);
    }
    return moe_fail(MOE_E_PARSE, "'%s' stands too late or twice; stages come in the order: %s",
                    name, data);
}

static moe_status no_such_stage(const char *name) {
    for (int i = 0; i < PLACES; i++)
        if (has(&places[i], name)) return stands_too_late(name);
    return moe_fail(MOE_E_PARSE, "'%s' is no stage of a router; write it like softmax>topk>renorm",
                    name);
}

static moe_status no_such_form(const char *name, const char *form) {
    return moe_fail(MOE_E_PARSE, "'%s' should read like %s, with numbers above 0", name, form);
}

static moe_status parse_choice(const place *at, const char *name, const char *inside,
                               moe_router *router) {
    const int which = find_choice(at, name);
    const moe_choice_info *choice = &at->choices[which];
    char text[STAGE_SIZE];
    moe_text form = moe_text_start(text, sizeof text);
    *choice_in(at, router) = which;
    if (choice->number ? read_number(inside, number_in(choice, router)) : !inside) return MOE_OK;
    if (!choice->number) return no_such_form(name, name);
    print_number(name, choice->usual, &form);
    return no_such_form(name, text);
}

/* Cuts "+bias" off a score. */
static bool cut_bias(char *text) {
    char *plus = strchr(text, '+');
    if (!plus || strcmp(plus, "+bias")) return false;
    *plus = '\0';
    return true;
}

/* A stage behind `last`, which becomes its place. */
static moe_status parse_stage(char *text, int *last, moe_router *router) {
    bool bias = cut_bias(text);
    char *open = strchr(text, '('), *inside = NULL;
    size_t length = strlen(text);
    if (open && text[length - 1] == ')') {
        text[length - 1] = *open = '\0';
        inside = open + 1;
    }
    int i = *last + 1;
    while (i < PLACES && !has(&places[i], text)) i++;
    if (i == PLACES) return no_such_stage(text);
    if (bias && i != AT_SCORE)
        return moe_fail(MOE_E_PARSE, "'+bias' stands behind a score, as in sigmoid+bias>topk");
    router->key_bias |= bias;
    *last = i;
    if (places[i].choices) return parse_choice(&places[i], text, inside, router);
    return places[i].read(inside, router) ? MOE_OK : no_such_form(text, places[i].form);
}

moe_status moe_stages_parse(const char *text, moe_router *out) {
    moe_router router = {.scale = 1};
    int last = -1;
    bool picks = false;
    for (size_t length; *text; text += length + (text[length] == '>')) {
        char word[STAGE_SIZE];
        length = strcspn(text, ">");
        if (length >= sizeof word)
            return moe_fail(MOE_E_PARSE, "'%.32s...' is no stage of a router", text);
        memcpy(word, text, length);
        word[length] = '\0';
        MOE_TRY(parse_stage(word, &last, &router));
        picks |= last == AT_PICK;
    }
    if (!picks) return moe_fail(MOE_E_PARSE, "'topk' is missing, as in softmax>topk>renorm");
    *out = router;
    return MOE_OK;
}

/* ----------------------------------------------------------------------------------- print */

static void print_choice(const place *at, moe_router router, moe_text *out) {
    const moe_choice_info *choice = &at->choices[*choice_in(at, &router)];
    if (choice->unwritten) return;
    if (choice->number)
        print_number(choice->name, *number_in(choice, &router), out);
    else
        moe_text_add(out, "%s", choice->name);
    if (at == &places[AT_SCORE] && router.key_bias) moe_text_add(out, "+bias");
}

void moe_stages_print(const moe_router *router, moe_text *out) {
    const char *between = "";
    for (const place *at = places; at < places + PLACES; at++) {
        char word[STAGE_SIZE] = "";
        moe_text stage = moe_text_start(word, sizeof word);
        if (at->choices)
            print_choice(at, *router, &stage);
        else
            at->print(router, &stage);
        if (!*word) continue;
        moe_text_add(out, "%s%s", between, word);
        between = ">";
    }
}
