/* fit.c - how well a tuned row fits what is asked. */
#include "run/fit.h"

#include "core/text.h"

#include <math.h>
#include <string.h>

static const char *const match_texts[MOE_MATCH_COUNT] = {
    [MOE_MATCH_ANY] = "any",
    [MOE_MATCH_EXACT] = "exact",
    [MOE_MATCH_NEAR_TOKENS] = "near_tokens",
    [MOE_MATCH_NEAR_DEVICE] = "near_device",
    [MOE_MATCH_DEFAULT] = "default",
};

const char *moe_match_text(moe_match match) {
    return (unsigned)match < MOE_MATCH_COUNT ? match_texts[match] : "unknown match";
}

/* What a difference costs, in doublings of the token count. */
static const double other_routing = 1, other_cache = 0.5, other_arch = 4, modelled = 8;

static bool same_device(const moe_origin *origin, const moe_facts *facts) {
    return !strcmp(origin->arch, facts->arch) && !strcmp(origin->name, facts->name) &&
           origin->sms == facts->sms;
}

/* A model's time, where a real GPU is asked for. */
static bool only_modelled(const moe_origin *origin, const moe_facts *facts) {
    return (origin->simulated || origin->measurement.timer == MOE_TIMER_MODEL) && !facts->simulated;
}

/* Plain code runs on later chips of its major version, and its PTX on every later chip; code with a
 * suffix keeps to its chip ('a') or its major version ('f'). */
static bool runs(const char *arch, const moe_facts *facts, bool ptx) {
    char suffix = 0;
    int64_t sm = moe_arch_parse(arch, &suffix);
    if (!sm || sm > facts->sm) return false;
    if (suffix == 'a') return !strcmp(arch, facts->arch);
    bool same_major = sm / 10 == facts->sm / 10;
    return same_major || (ptx && !suffix);
}

moe_code moe_code_for(const char *arch, bool has_cubin, bool has_ptx, const moe_facts *facts) {
    if (has_cubin && !facts->simulated && runs(arch, facts, false)) return MOE_CODE_CUBIN;
    if (has_ptx && runs(arch, facts, true)) return MOE_CODE_PTX;
    return MOE_CODE_NONE;
}

/* Shared memory that the launch's hungriest kernel needs, bytes. */
static int64_t shared_memory(const moe_launch *launch) {
    int64_t most = 0;
    for (int64_t i = 0; i < launch->kernels; i++) {
        int64_t bytes = launch->kernel[i].smem + launch->kernel[i].static_smem;
        if (bytes > most) most = bytes;
    }
    return most;
}

const char *moe_fit_refusal(const moe_origin *origin, const moe_launch *launch,
                            const moe_want *want) {
    if (!launch->deterministic && !want->any_order)
        return "its sums depend on the order of arrival, which only any_order allows";
    if (shared_memory(launch) > want->facts->smem)
        return "it needs more shared memory than the device has";
    if (!moe_code_for(origin->code_arch, origin->has_cubin, origin->has_ptx, want->facts))
        return "the device does not run code of its arch";
    return NULL;
}

static double doublings(int64_t a, int64_t b) {
    return fabs(log2((double)(a < 1 ? 1 : a)) - log2((double)(b < 1 ? 1 : b)));
}

moe_fit moe_fit_of(const moe_origin *origin, const moe_want *want, int64_t tokens) {
    moe_fit fit = {MOE_MATCH_EXACT, doublings(origin->tokens, tokens)};
    if (origin->routing != want->routing) fit.distance += other_routing;
    if (origin->cache != want->cache) fit.distance += other_cache;
    if (fit.distance > 0) fit.match = MOE_MATCH_NEAR_TOKENS;
    if (!same_device(origin, want->facts)) {
        fit.match = MOE_MATCH_NEAR_DEVICE;
        fit.distance += doublings(origin->sms, want->facts->sms);
        if (strcmp(origin->arch, want->facts->arch) != 0) fit.distance += other_arch;
    }
    if (only_modelled(origin, want->facts)) { /* a model of a device is another device */
        fit.match = MOE_MATCH_NEAR_DEVICE;
        fit.distance += modelled;
    }
    if (origin->measurement.n == 0) fit.match = MOE_MATCH_DEFAULT;
    return fit;
}

bool moe_fit_better(moe_fit a, int64_t tokens_a, moe_fit b, int64_t tokens_b) {
    if (a.match != b.match) return a.match < b.match;
    if (a.distance != b.distance) return a.distance < b.distance;
    return tokens_a > tokens_b;
}

/* Where the time comes from: the first part of every reason. */
static void say_time(const moe_origin *origin, const moe_want *want, moe_text *out) {
    const moe_measurement *m = &origin->measurement;
    if (m->n == 0)
        moe_text_add(out, "never timed");
    else if (only_modelled(origin, want->facts))
        moe_text_add(out, "modelled, not measured: %.6g us", m->med / 1e3);
    else if (m->timer == MOE_TIMER_MODEL)
        moe_text_add(out, "modelled %.6g us", m->med / 1e3);
    else
        moe_text_add(out, "measured %.6g us by %s, n=%lld", m->med / 1e3,
                     moe_timer_names[m->timer], (long long)m->n);
    if (origin->whole) moe_text_add(out, " for the whole layer");
}

void moe_fit_reason(const moe_origin *origin, const moe_want *want, int64_t tokens, char *text,
                    size_t size) {
    moe_text out = moe_text_start(text, size);
    say_time(origin, want, &out);
    if (same_device(origin, want->facts))
        moe_text_add(&out, " on this device");
    else
        moe_text_add(&out, " on \"%s\" (%s, %lld SMs)", origin->name, origin->arch,
                     (long long)origin->sms);
    if (origin->tokens != tokens)
        moe_text_add(&out, "; tuned at t=%lld, not t=%lld", (long long)origin->tokens,
                     (long long)tokens);
    if (origin->routing != want->routing)
        moe_text_add(&out, "; tuned for %s routing, not %s", moe_routing_names[origin->routing],
                     moe_routing_names[want->routing]);
    if (origin->cache != want->cache)
        moe_text_add(&out, "; tuned for a %s cache, not a %s one", moe_cache_names[origin->cache],
                     moe_cache_names[want->cache]);
    if (!want->facts->simulated &&
        moe_code_for(origin->code_arch, origin->has_cubin, origin->has_ptx, want->facts) ==
            MOE_CODE_PTX)
        moe_text_add(&out, "; the driver compiles its %s PTX", origin->code_arch);
}
