/* facts.c - what is known of a GPU: its line of text, and what its architecture implies. */
#include "core/facts.h"
#include "core/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FACT = 1 << 30 };

#define AT(member) offsetof(moe_facts, member)
static const moe_field fields[] = {
    {"sm", AT(sm), &moe_field_integer, "0", NULL, 0, 1000, false},
    {"sms", AT(sms), &moe_field_integer, NULL, NULL, 1, 1 << 16, false},
    {"smem", AT(smem), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"smem_sm", AT(smem_sm), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"regs_sm", AT(regs_sm), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"threads_sm", AT(threads_sm), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"blocks_sm", AT(blocks_sm), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"l2", AT(l2), &moe_field_integer, "0", NULL, 0, INT64_MAX, false},
    {"memory", AT(memory), &moe_field_integer, "0", NULL, 0, INT64_MAX, false},
    {"clock", AT(clock), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"bandwidth", AT(bandwidth), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"tensor_rate", AT(tensor_rate), &moe_field_integer, "0", NULL, 0, MAX_FACT, false},
    {"simulated", AT(simulated), &moe_field_integer, "0", NULL, 0, 1, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

/* Per-SM limits from the compute-capability tables of the CUDA programming guide. The tensor rate
 * (dense bf16, fp32 accumulation, FLOPs a clock and SM) is the data sheets' dense peak over SMs and
 * boost clock of A100, A40, Orin, L40S, H100, B200, Thor and RTX PRO 6000. */
static const struct {
    int64_t sm, tensor_rate, smem, smem_sm, regs_sm, threads_sm, blocks_sm;
} known[] = {
    {80, 2048, 163 << 10, 164 << 10, 65536, 2048, 32},
    {86, 1024, 99 << 10, 100 << 10, 65536, 1536, 16},
    {87, 1024, 163 << 10, 164 << 10, 65536, 1536, 16},
    {89, 1024, 99 << 10, 100 << 10, 65536, 1536, 24},
    {90, 4096, 227 << 10, 228 << 10, 65536, 2048, 32},
    {100, 8192, 227 << 10, 228 << 10, 65536, 2048, 32},
    {103, 8192, 227 << 10, 228 << 10, 65536, 2048, 32},
    {110, 8192, 227 << 10, 228 << 10, 65536, 1536, 24},
    {120, 1024, 99 << 10, 100 << 10, 65536, 1536, 24},
    {121, 1024, 99 << 10, 100 << 10, 65536, 1536, 24},
};

int64_t moe_arch_parse(const char *arch, char *suffix) {
    int64_t sm = 0;
    if (strncmp(arch, "sm_", 3) != 0) return 0;
    const char *digit = arch + 3;
    for (; isdigit((unsigned char)*digit) && sm < 100; digit++) sm = sm * 10 + (*digit - '0');
    bool family = *digit == 'a' || *digit == 'f';
    if (digit[family] != '\0' || sm < 10) return 0;
    if (suffix) *suffix = *digit;
    return sm;
}

static void fill(int64_t *member, int64_t value) {
    if (*member == 0) *member = value;
}

void moe_facts_complete(moe_facts *facts) {
    fill(&facts->sm, moe_arch_parse(facts->arch, NULL));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].sm != facts->sm) continue;
        /* GeForce boards accumulate fp32 at half the rate of the same chip on other boards. */
        int64_t halves = strstr(facts->name, "GeForce") ? 2 : 1;
        fill(&facts->tensor_rate, known[i].tensor_rate / halves);
        fill(&facts->smem, known[i].smem);
        fill(&facts->smem_sm, known[i].smem_sm);
        fill(&facts->regs_sm, known[i].regs_sm);
        fill(&facts->threads_sm, known[i].threads_sm);
        fill(&facts->blocks_sm, known[i].blocks_sm);
    }
}

void moe_facts_print(const moe_facts *facts, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    moe_text_add(&out, "%s \"", facts->arch);
    for (const char *c = facts->name; *c; c++)
        moe_text_add(&out, "%c", *c == '"' || iscntrl((unsigned char)*c) ? '\'' : *c);
    moe_text_add(&out, "\" ");
    moe_fields_print(fields, UINT64_MAX, facts, &out);
}

moe_status moe_facts_parse(const char *text, moe_facts *out) {
    moe_facts facts = {0};
    if (!moe_next_word(&text, facts.arch, sizeof facts.arch) || !moe_arch_parse(facts.arch, NULL))
        return moe_fail(MOE_E_PARSE,
                        "device: '%.20s' is not an architecture; write one such as sm_90a",
                        facts.arch);
    text += strspn(text, " ");
    const char *end = *text == '"' ? strchr(text + 1, '"') : NULL;
    if (!end || (size_t)(end - text) > sizeof facts.name)
        return moe_fail(
            MOE_E_PARSE,
            "device: behind %s there should be a name in quotes, such as \"NVIDIA H100\"",
            facts.arch);
    memcpy(facts.name, text + 1, (size_t)(end - text - 1));
    MOE_TRY(moe_fields_parse(fields, "device", end + 1, &facts));
    moe_facts_complete(&facts);
    *out = facts;
    return MOE_OK;
}
