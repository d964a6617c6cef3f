/* command_goal.c - the options that tune, check and bench have in common. */
#include "command/command_goal.h"

#include "core/capacity.h"
#include "models/presets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_TOKENS = 0x200, KEY_CAPACITY, KEY_ROUTING, KEY_CACHE, KEY_DB, KEY_TEMPLATES, KEY_ORDER,
       KEY_SEED };

static const struct argp_option option_table[] = {
    {"device", 'd', "D", 0, "cuda:N, sim:CHIP or auto (the first GPU, else sim:h100)", 0},
    {"layer", 'l', "L", 0, "a preset, a config.json, or text: d=1024 f=512 e=32 k=8 ...", 0},
    {"tokens", KEY_TOKENS, "LIST", 0, "token counts, for example 1,16,256", 0},
    {"capacity", KEY_CAPACITY, "LIST", 0, "capacity factors, for example none,1.25,switch,2", 0},
    {"routing", KEY_ROUTING, "LIST", 0,
     "uniform, zipf, one, empty; in bench also zipf:1.2, trace:FILE", 0},
    {"cache", KEY_CACHE, "STATE", 0, "caches at the start of a run: cold or warm", 0},
    {"db", KEY_DB, "FILE", 0, "the database; default $MOETUNE_DB, else ~/.cache/moetune/tuning.db",
     0},
    {"templates", KEY_TEMPLATES, "DIR", 0, "templates of your own", 0},
    {"any-order", KEY_ORDER, NULL, 0,
     "also kernels whose sums depend on the order of arrival, so that y is not bitwise repeatable",
     0},
    {"seed", KEY_SEED, "N", 0, "of all random inputs and choices", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_seed(command_goal *goal, const char *text, const struct argp_state *state) {
    int64_t seed;
    if (moe_integer_parse(text, &seed)) argp_error(state, "--seed: %s", moe_error_text());
    goal->seed = (uint64_t)seed;
    return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state) {
    command_goal *goal = state->input;
    switch (key) {
    case ARGP_KEY_INIT: *goal = (command_goal){.device = "auto", .seed = 1}; break;
    case 'd': goal->device = value; break;
    case 'l': goal->layer = value; break;
    case KEY_TOKENS: goal->tokens = value; break;
    case KEY_CAPACITY: goal->capacity = value; break;
    case KEY_ROUTING: goal->routing = value; break;
    case KEY_CACHE: goal->cache = value; break;
    case KEY_DB: goal->db = value; break;
    case KEY_TEMPLATES: goal->templates = value; break;
    case KEY_ORDER: goal->any_order = true; break;
    case KEY_SEED: return parse_seed(goal, value, state);
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not an option; --layer names the layer", value);
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp command_goal_argp = {option_table, parse_option, NULL, NULL, NULL, NULL, NULL};

const struct argp_child command_goal_children[] = {{&command_goal_argp, 0, NULL, 0},
                                                   {NULL, 0, NULL, 0}};

moe_status command_goal_templates(const command_goal *goal, moe_gen **out) {
    MOE_TRY(command_templates(goal->templates, out));
    moe_gen_allow_any_order(*out, goal->any_order);
    return MOE_OK;
}

/* The next item of a comma-separated list; false at its end. */
static bool next_item(const char **list, char *item, size_t size) {
    size_t length = strcspn(*list, ",");
    if (!**list) return false;
    snprintf(item, size, "%.*s", (int)length, *list);
    *list += length + ((*list)[length] == ',');
    return true;
}

static moe_status read_tokens(const char *list, moe_goal *out) {
    char item[64];
    while (next_item(&list, item, sizeof item)) {
        int64_t tokens;
        moe_status status = moe_integer_parse(item, &tokens);
        if (status) return moe_fail_context(status, "--tokens");
        if (tokens < 0 || tokens > INT32_MAX)
            return moe_fail(MOE_E_INVALID, "--tokens: %s is not in 0..%d", item, INT32_MAX);
        if (out->token_count == MOE_MAX_TOKENS)
            return moe_fail(MOE_E_INVALID, "--tokens: more than %d counts", MOE_MAX_TOKENS);
        out->tokens[out->token_count++] = tokens;
    }
    return out->token_count ? MOE_OK : moe_fail(MOE_E_PARSE, "--tokens: the list is empty");
}

/* The next capacity of a list such as 1.25,switch,2,none: what follows a factor and is no factor
 * belongs to it. */
static bool next_capacity(const char **list, char *item, size_t size) {
    char word[32];
    bool found = next_item(list, item, size);
    while (found && isalpha((unsigned char)**list) && strncmp(*list, "none", 4) != 0) {
        size_t used = strlen(item);
        next_item(list, word, sizeof word);
        if (used + sizeof word < size) snprintf(item + used, size - used, ",%.31s", word);
    }
    return found;
}

/* Without a list the layer's own capacity stands. */
static moe_status read_capacities(const char *list, const moe_layer *layer, moe_goal *out) {
    char item[64];
    if (!list) {
        out->layer[out->layers++] = *layer;
        return MOE_OK;
    }
    while (next_capacity(&list, item, sizeof item)) {
        moe_layer with = *layer;
        moe_status status =
            moe_field_capacity.parse(&moe_layer_fields[MOE_LAYER_CAPACITY], item, &with.capacity);
        if (status) return moe_fail_context(status, "--capacity");
        if (out->layers == MOE_MAX_LAYERS)
            return moe_fail(MOE_E_INVALID, "--capacity: more than %d factors", MOE_MAX_LAYERS);
        out->layer[out->layers++] = with;
    }
    return out->layers ? MOE_OK : moe_fail(MOE_E_PARSE, "--capacity: the list is empty");
}

static moe_status read_name(const char *option, const char *text, const char *const *names,
                            int *out) {
    const moe_field field = {.names = names};
    moe_status status = moe_field_enum.parse(&field, text, out);
    return status ? moe_fail_context(status, "%s", option) : MOE_OK;
}

static moe_status add_routing(const command_goal *goal, const char *item, moe_goal *out) {
    moe_traffic *traffic = &out->traffic[out->routings];
    moe_status status = moe_traffic_parse(item, traffic);
    if (status) return moe_fail_context(status, "--routing");
    if (!goal->any_traffic && !moe_traffic_plain(traffic))
        return moe_fail(MOE_E_INVALID, "--routing: '%s' is for bench; here give a class: uniform, "
                                       "zipf, one or empty",
                        item);
    out->routing[out->routings++] = traffic->routing;
    return MOE_OK;
}

static moe_status read_routings(const command_goal *goal, moe_goal *out) {
    const char *list = goal->routing ? goal->routing : "uniform";
    char item[MOE_TRAFFIC_TEXT_SIZE];
    while (next_item(&list, item, sizeof item)) {
        if (out->routings == MOE_MAX_ROUTINGS)
            return moe_fail(MOE_E_INVALID, "--routing: more than %d", MOE_MAX_ROUTINGS);
        MOE_TRY(add_routing(goal, item, out));
    }
    return out->routings ? MOE_OK : moe_fail(MOE_E_PARSE, "--routing: the list is empty");
}

moe_status command_goal_read(const command_goal *goal, const char *tokens, moe_goal *out) {
    moe_goal read = {0};
    moe_layer layer;
    int cache;
    if (!goal->layer)
        return moe_fail(MOE_E_INVALID, "no layer given; add --layer, for example "
                                       "--layer qwen3-30b-a3b (moetune layer --list names more)");
    MOE_TRY(moe_preset(goal->layer, &layer));
    MOE_TRY(read_tokens(goal->tokens ? goal->tokens : tokens, &read));
    MOE_TRY(read_capacities(goal->capacity, &layer, &read));
    MOE_TRY(read_routings(goal, &read));
    MOE_TRY(read_name("--cache", goal->cache ? goal->cache : "cold", moe_cache_names, &cache));
    read.cache = (moe_cache)cache;
    *out = read;
    return MOE_OK;
}
