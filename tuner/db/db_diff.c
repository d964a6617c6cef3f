/* db_diff.c - what changed from one database to another: winners of ops, and layers. */
#include "db/db_diff.h"

#include "core/list.h"
#include "db/db_race.h"
#include "text/columns.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 4096, BEFORE = 0, AFTER = 1 };

static const char *const change_names[MOE_CHANGE_COUNT] = {
    [MOE_CHANGE_BROKEN] = "broken", [MOE_CHANGE_SLOWER] = "slower", [MOE_CHANGE_FASTER] = "faster",
    [MOE_CHANGE_OTHER] = "other",   [MOE_CHANGE_NEW] = "new",       [MOE_CHANGE_GONE] = "gone",
    [MOE_CHANGE_SAME] = "same",
};

/* ------------------------------------------------------------------------------------ reading */

/* One side while its rows pass by. */
typedef struct reading {
    moe_db_diff *diff;
    int side;
    moe_storage *store;
    char device[160];
} reading;

static moe_status add_contest(const reading *r, const char *key, const char *winner,
                              const moe_measurement *m) {
    moe_db_diff *diff = r->diff;
    int64_t *count = &diff->contests[r->side], *room = &diff->room[r->side];
    MOE_TRY(moe_list_grow(&diff->contest[r->side], *count, room, sizeof *diff->contest[0]));
    moe_contest contest = {strdup(key), strdup(winner), *m};
    diff->contest[r->side][(*count)++] = contest;
    return contest.key && contest.winner ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for a row");
}

static moe_status add_op(void *context, const moe_record *record, int count, int winner) {
    (void)count;
    const reading *r = context;
    char key[KEY_SIZE], op[MOE_OP_TEXT_SIZE], config[MOE_CONFIG_TEXT_SIZE],
        what[MOE_TEMPLATE_ID_SIZE + MOE_CONFIG_TEXT_SIZE];
    const moe_record *best = &record[winner < 0 ? 0 : winner];
    moe_op_print(&best->op, op, sizeof op);
    moe_config_print(&best->config, config, sizeof config);
    snprintf(key, sizeof key, "%s | %s", r->device, op);
    snprintf(what, sizeof what, "%s %s", best->template_id, config);
    return add_contest(r, key, what, &best->measurement);
}

/* A layer's line is its workload, then its pipeline and templates, then the evidence. */
static moe_status add_layer(void *context, const moe_choice *choice) {
    const reading *r = context;
    char line[MOE_CHOICE_TEXT_SIZE], key[KEY_SIZE + MOE_CHOICE_TEXT_SIZE];
    moe_choice_print(choice, line, sizeof line);
    char *what = strstr(line, " | "), *end = strstr(what + 3, " | ");
    *what = '\0';
    *strstr(end + 3, " | ") = '\0';
    snprintf(key, sizeof key, "%s | %s", r->device, line);
    return add_contest(r, key, what + 3, &choice->measurement);
}

static moe_status add_device(void *context, int64_t device, const moe_facts *facts) {
    reading *r = context;
    snprintf(r->device, sizeof r->device, "%s \"%s\" sms=%lld", facts->arch, facts->name,
             (long long)facts->sms);
    MOE_TRY(moe_db_races(r->store, device, add_op, r));
    return moe_storage_choices(r->store, device, add_layer, r);
}

/* By key; of one key what works comes first, then the fastest. */
static int compare(const void *left, const void *right) {
    const moe_contest *a = left, *b = right;
    int order = strcmp(a->key, b->key);
    if (!order) order = (int)a->measurement.outcome - (int)b->measurement.outcome;
    if (order) return order;
    return (a->measurement.med > b->measurement.med) - (a->measurement.med < b->measurement.med);
}

/* One device may have rows of several drivers' facts: the best of each key stays. */
static void keep_best(moe_contest *contest, int64_t *count) {
    int64_t kept = 0;
    for (int64_t i = 0; i < *count; i++) {
        if (kept && !strcmp(contest[kept - 1].key, contest[i].key)) {
            free(contest[i].key);
            free(contest[i].winner);
        } else {
            contest[kept++] = contest[i];
        }
    }
    *count = kept;
}

static moe_status read_side(moe_db_diff *diff, int side, moe_storage *store) {
    reading r = {.diff = diff, .side = side, .store = store};
    MOE_TRY(moe_storage_devices(store, add_device, &r));
    if (diff->contests[side])
        qsort(diff->contest[side], (size_t)diff->contests[side], sizeof(moe_contest), compare);
    keep_best(diff->contest[side], &diff->contests[side]);
    return MOE_OK;
}

/* ---------------------------------------------------------------------------------- comparing */

static bool works(const moe_contest *c) { return c && c->measurement.outcome == MOE_OUTCOME_OK; }

static moe_change judge(const moe_contest *before, const moe_contest *after, double *noise) {
    *noise = 0;
    if (!before) return MOE_CHANGE_NEW;
    if (!after) return MOE_CHANGE_GONE;
    if (!works(after)) return works(before) ? MOE_CHANGE_BROKEN : MOE_CHANGE_SAME;
    if (!works(before)) return MOE_CHANGE_NEW;
    *noise = moe_noise(&before->measurement, &after->measurement);
    double more = after->measurement.med - before->measurement.med;
    if (more > *noise) return MOE_CHANGE_SLOWER;
    if (more < -*noise) return MOE_CHANGE_FASTER;
    return strcmp(before->winner, after->winner) ? MOE_CHANGE_OTHER : MOE_CHANGE_SAME;
}

/* Walks both sorted sides at once. */
static void walk(moe_db_diff *diff) {
    const moe_contest *a = diff->contest[BEFORE], *end_a = a + diff->contests[BEFORE],
                      *b = diff->contest[AFTER], *end_b = b + diff->contests[AFTER];
    while (a < end_a || b < end_b) {
        int order = a == end_a ? 1 : b == end_b ? -1 : strcmp(a->key, b->key);
        moe_difference *d = &diff->difference[diff->differences++];
        *d = (moe_difference){.before = order <= 0 ? a++ : NULL, .after = order >= 0 ? b++ : NULL};
        d->change = judge(d->before, d->after, &d->noise);
        diff->count[d->change]++;
    }
}

moe_status moe_db_compare(moe_storage *before, moe_storage *after, moe_db_diff *out) {
    *out = (moe_db_diff){0};
    MOE_TRY(read_side(out, BEFORE, before));
    MOE_TRY(read_side(out, AFTER, after));
    int64_t most = out->contests[BEFORE] + out->contests[AFTER];
    out->difference = malloc((size_t)(most + 1) * sizeof *out->difference);
    if (!out->difference) return moe_fail(MOE_E_MEMORY, "no memory for %lld rows", (long long)most);
    walk(out);
    return MOE_OK;
}

void moe_db_diff_free(moe_db_diff *diff) {
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < diff->contests[side]; i++) {
            free(diff->contest[side][i].key);
            free(diff->contest[side][i].winner);
        }
        free(diff->contest[side]);
    }
    free(diff->difference);
    *diff = (moe_db_diff){0};
}

bool moe_db_diff_good(const moe_db_diff *diff) {
    return !diff->count[MOE_CHANGE_SLOWER] && !diff->count[MOE_CHANGE_BROKEN];
}

/* ------------------------------------------------------------------------------------ telling */

/* "12.34", or the outcome of what does not work, or "-". */
static void say_time(const moe_contest *c, char *text, size_t size) {
    if (works(c))
        snprintf(text, size, "%.2f", c->measurement.med * 1e-3);
    else
        snprintf(text, size, "%s", c ? moe_outcome_names[c->measurement.outcome] : "-");
}

/* Times of two timers are no like for like, so both are named. */
static void say_timer(const moe_difference *d, char *text, size_t size) {
    const moe_contest *one = d->after ? d->after : d->before;
    const char *after = moe_timer_names[one->measurement.timer];
    const char *before = moe_timer_names[(d->before ? d->before : one)->measurement.timer];
    snprintf(text, size, strcmp(before, after) ? "%s, now %s" : "%s", before, after);
}

static double share(const moe_difference *d, double ns) {
    bool both = works(d->before) && works(d->after) && d->before->measurement.med > 0;
    return both ? 100 * ns / d->before->measurement.med : 0;
}

static double gain(const moe_difference *d) {
    if (!works(d->before) || !works(d->after)) return 0;
    return d->after->measurement.med - d->before->measurement.med;
}

static void add_line(moe_columns *table, const moe_difference *d) {
    char before[32], after[32], timer[48], percent[32] = "-", noise[32] = "-";
    say_time(d->before, before, sizeof before);
    say_time(d->after, after, sizeof after);
    say_timer(d, timer, sizeof timer);
    if (works(d->before) && works(d->after)) {
        snprintf(percent, sizeof percent, "%+.1f%%", share(d, gain(d)));
        snprintf(noise, sizeof noise, "%.1f%%", share(d, d->noise));
    }
    const char *old = d->before ? d->before->winner : "-", *now = d->after ? d->after->winner : "-";
    moe_columns_add(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", change_names[d->change], before,
                    after, percent, noise, timer, d->before ? d->before->key : d->after->key, old,
                    strcmp(old, now) ? now : "the same");
}

static void print_changes(const moe_db_diff *diff, FILE *to) {
    moe_columns *table = moe_columns_new("change\t>us before\t>us after\t>by\t>noise\ttimer\t"
                                         "device | what\tkernel before\tkernel after");
    for (int change = 0; change < MOE_CHANGE_SAME; change++)
        for (int64_t i = 0; i < diff->differences; i++)
            if ((int)diff->difference[i].change == change) add_line(table, &diff->difference[i]);
    moe_columns_print(table, to);
    fputc('\n', to);
}

void moe_db_diff_table(const moe_db_diff *diff, FILE *to) {
    if (diff->differences > diff->count[MOE_CHANGE_SAME]) print_changes(diff, to);
    for (int change = 0; change < MOE_CHANGE_COUNT; change++)
        fprintf(to, "%s%lld %s", change ? ", " : "", (long long)diff->count[change],
                change_names[change]);
    fputc('\n', to);
}

static json_t *side_json(const moe_contest *c) {
    if (!c) return json_null();
    const moe_measurement *m = &c->measurement;
    return json_pack("{s:s, s:s, s:f, s:f, s:I, s:s}", "outcome", moe_outcome_names[m->outcome],
                     "kernel", c->winner, "med_ns", m->med, "mad_ns", m->mad, "n",
                     (json_int_t)m->n, "timer", moe_timer_names[m->timer]);
}

void moe_db_diff_json(const moe_db_diff *diff, FILE *to) {
    json_t *rows = json_array(), *sums = json_object();
    for (int64_t i = 0; i < diff->differences; i++) {
        const moe_difference *d = &diff->difference[i];
        const char *key = d->before ? d->before->key : d->after->key, *what = strstr(key, " | ");
        json_array_append_new(
            rows, json_pack("{s:s, s:s%, s:s, s:o, s:o, s:f}", "change", change_names[d->change],
                            "device", key, (size_t)(what - key), "what", what + 3, "before",
                            side_json(d->before), "after", side_json(d->after), "noise_ns",
                            d->noise));
    }
    for (int change = 0; change < MOE_CHANGE_COUNT; change++)
        json_object_set_new(sums, change_names[change], json_integer(diff->count[change]));
    json_t *all = json_pack("{s:b, s:o, s:o}", "good", moe_db_diff_good(diff), "count", sums,
                            "rows", rows);
    json_dumpf(all, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    fputc('\n', to);
    json_decref(all);
}
