/* presets.c - layers by name.
 *
 * Sizes are those of each model's published config.json. A model is here when layer text can say
 * all of its MoE layer: no shared experts. */
#include "presets.h"

#include "config_json.h"

#include <string.h>
#include <sys/stat.h>

#define BF16 "x=bf16 w=bf16"

const moe_preset_entry moe_preset_list[] = {
    {"dbrx", "d=6144 f=10752 e=16 k=4 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"gpt-oss-120b",
     "d=2880 f=2880 e=128 k=4 act=swiglu_clamp(7,1.702) " BF16
     " router=topk>softmax bias=router,up,down layout=interleaved",
     "published weights are MXFP4: unpack"},
    {"gpt-oss-20b",
     "d=2880 f=2880 e=32 k=4 act=swiglu_clamp(7,1.702) " BF16
     " router=topk>softmax bias=router,up,down layout=interleaved",
     "published weights are MXFP4: unpack"},
    {"granite-3.0-1b-a400m", "d=1024 f=512 e=32 k=8 act=swiglu " BF16 " router=topk>softmax", ""},
    {"granite-3.0-3b-a800m", "d=1536 f=512 e=40 k=8 act=swiglu " BF16 " router=topk>softmax", ""},
    {"grok-1", "d=6144 f=32768 e=8 k=2 act=geglu_tanh " BF16 " router=softmax>topk", ""},
    {"minimax-m2", "d=3072 f=1536 e=256 k=8 act=swiglu " BF16 " router=sigmoid+bias>topk>renorm",
     "published weights are FP8: unpack"},
    {"mixtral-8x22b", "d=6144 f=16384 e=8 k=2 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"mixtral-8x7b", "d=4096 f=14336 e=8 k=2 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"olmoe-1b-7b", "d=2048 f=1024 e=64 k=8 act=swiglu " BF16 " router=softmax>topk", ""},
    {"phi-3.5-moe", "d=4096 f=6400 e=16 k=2 act=swiglu " BF16 " router=topk>sparsemixer(0.01)", ""},
    {"qwen3-235b-a22b", "d=4096 f=1536 e=128 k=8 act=swiglu " BF16 " router=softmax>topk>renorm",
     ""},
    {"qwen3-30b-a3b", "d=2048 f=768 e=128 k=8 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"switch-base-128",
     "d=768 f=3072 e=128 k=1 act=relu " BF16 " router=softmax>topk capacity=1.25",
     "trained with capacity 1.25; the published code drops beyond 64 rows an expert instead"},
    {NULL, NULL, NULL},
};

enum { NEAREST = 3, MAX_NAME = 64 };

/* Letters to insert, delete or replace to make `b` of `a` (Wagner and Fischer 1974). */
static int distance(const char *a, const char *b) {
    int row[MAX_NAME + 1], width = (int)strnlen(b, MAX_NAME);
    for (int j = 0; j <= width; j++) row[j] = j;
    for (int i = 1; *a && i <= MAX_NAME; i++, a++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= width; j++) {
            int change = diagonal + (*a != b[j - 1]),
                step = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = change < step + 1 ? change : step + 1;
        }
    }
    return row[width];
}

/* A name that contains the other one is as near as can be: "qwen3" for "qwen3-30b-a3b". */
static int nearness(const char *what, const char *name) {
    return strlen(what) > 2 && (strstr(name, what) || strstr(what, name)) ? 0
                                                                          : distance(what, name);
}

static moe_status no_such_name(const char *what) {
    char names[256];
    moe_text list = moe_text_start(names, sizeof names);
    bool taken[sizeof moe_preset_list / sizeof *moe_preset_list] = {false};
    for (int n = 0; n < NEAREST; n++) {
        int best = -1;
        for (int i = 0; moe_preset_list[i].name; i++)
            if (!taken[i] && (best < 0 || nearness(what, moe_preset_list[i].name) <
                                              nearness(what, moe_preset_list[best].name)))
                best = i;
        taken[best] = true;
        moe_text_add(&list, "%s%s", n ? ", " : "", moe_preset_list[best].name);
    }
    return moe_fail(
        MOE_E_PARSE,
        "no layer is called '%.64s', nor is it a file or text such as 'd=1024 f=512 e=32 "
        "k=8'; nearest presets: %s",
        what, names);
}

/* Files come before text, since a path may hold a '='. */
static bool is_file(const char *what) {
    struct stat facts;
    size_t length = strlen(what);
    bool json = length > 5 && !strcmp(what + length - 5, ".json");
    return stat(what, &facts) == 0 || (json && !strchr(what, '='));
}

static moe_status read_layer(const char *what, moe_layer *out) {
    for (const moe_preset_entry *entry = moe_preset_list; entry->name; entry++)
        if (!strcmp(entry->name, what)) return moe_layer_parse(entry->layer, out);
    return strchr(what, '=') ? moe_layer_parse(what, out) : no_such_name(what);
}

static bool is_preset(const char *what) {
    const moe_preset_entry *entry = moe_preset_list;
    while (entry->name && strcmp(entry->name, what) != 0) entry++;
    return entry->name;
}

moe_status moe_preset(const char *what, moe_layer *out) {
    return is_file(what) && !is_preset(what) ? moe_config_json(what, out) : read_layer(what, out);
}

moe_status moe_preset_model(const char *what, moe_model *out) {
    if (is_file(what) && !is_preset(what)) return moe_config_model(what, out);
    *out = (moe_model){0};
    return read_layer(what, &out->layer);
}
