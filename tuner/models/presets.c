/* presets.c - layers by name.
 *
 * Sizes are those of each model's published config.json, of systems without one those of its paper.
 * Where layer text says a layer only nearly, or of other weights than the published ones, the note
 * says what is to be done. */
#include "models/presets.h"

#include "models/config_json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BF16 "x=bf16 w=bf16"
#define V3_GROUPS "router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)"

const moe_preset_entry moe_preset_list[] = {
    {"base-128", "d=2048 f=8192 e=128 k=1 act=relu " BF16 " router=base bias=up,down",
     "one of the ten sublayers of an expert; put its norm into up and up_bias, and give logits"},
    {"base-128-eval", "d=2048 f=8192 e=128 k=1 act=relu " BF16 " router=topk>sigmoid bias=up,down",
     "as base-128, where each token has its best expert"},
    {"c-btm-opt-1.3b", "d=2048 f=8192 e=16 k=4 act=relu " BF16 " router=given bias=up,down",
     "ids and weights are those of a token's context, whole; c-BTM mixes probabilities of whole "
     "models where this mixes layers"},
    {"dbrx", "d=6144 f=10752 e=16 k=4 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"deepseek-moe-16b",
     "d=2048 f=1408 e=64 k=6 act=swiglu " BF16 " router=softmax>topk shared=2816", ""},
    {"deepseek-v2", "d=5120 f=1536 e=160 k=6 act=swiglu " BF16
     " router=softmax>groups(8,3,max)>topk>scale(16) shared=3072", ""},
    {"deepseek-v2-lite",
     "d=2048 f=1408 e=64 k=6 act=swiglu " BF16 " router=softmax>topk shared=2816", ""},
    {"deepseek-v3", "d=7168 f=2048 e=256 k=8 act=swiglu " BF16 " " V3_GROUPS " shared=2048",
     "published weights are FP8, which run --weights unpacks"},
    {"deepseek-v3-ep8-shard", "d=7168 f=2048 e=256 k=8 act=swiglu " BF16 " " V3_GROUPS " local=32",
     "one of 8 devices with 32 experts each; the shared expert runs where a token is from"},
    {"deepseek-v4-pro", "d=7168 f=3072 e=384 k=6 act=swiglu " BF16
     " router=sqrtsoftplus+bias>topk>renorm>scale(2.5) shared=3072",
     "without the clamp of gate and up at 10"},
    {"deepseek-v4-pro-hash", "d=7168 f=3072 e=384 k=6 act=swiglu " BF16
     " router=sqrtsoftplus>hash>renorm>scale(2.5) shared=3072",
     "its first layers, where experts go by token ids; without the clamp of gate and up at 10"},
    {"dots.llm1", "d=4096 f=1408 e=128 k=6 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.5) shared=2816", ""},
    {"ernie-4.5-21b-a3b", "d=2560 f=1536 e=64 k=6 act=swiglu " BF16
     " router=softmax+bias>topk>renorm router_dtype=f32 shared=3072", ""},
    {"expert-choice-64",
     "d=768 f=3072 e=64 k=64 act=gelu " BF16 " router=expert_choice capacity=2,switch",
     "sizes of its paper's 100M/64E"},
    {"gemma-4-26b-a4b", "d=2816 f=704 e=128 k=8 act=geglu_tanh " BF16 " router=softmax>topk>renorm",
     "put the factor of each expert into down; the router reads a norm of its own: give logits"},
    {"glm-4.5", "d=5120 f=1536 e=160 k=8 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.5) shared=1536", ""},
    {"glm-4.5-air",
     "d=4096 f=1408 e=128 k=8 act=swiglu " BF16 " router=sigmoid+bias>topk>renorm shared=1408",
     ""},
    {"glm-4.7", "d=5120 f=1536 e=160 k=8 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.5) shared=1536", ""},
    {"glm-4.7-flash", "d=2048 f=1536 e=64 k=4 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(1.8) shared=1536", ""},
    {"glm-5", "d=6144 f=2048 e=256 k=8 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.5) shared=2048", ""},
    {"gpt-oss-120b", "d=2880 f=2880 e=128 k=4 act=swiglu_clamp(7,1.702) " BF16
     " router=topk>softmax bias=router,up,down layout=interleaved",
     "published weights are MXFP4, which run --weights unpacks"},
    {"gpt-oss-20b", "d=2880 f=2880 e=32 k=4 act=swiglu_clamp(7,1.702) " BF16
     " router=topk>softmax bias=router,up,down layout=interleaved",
     "published weights are MXFP4, which run --weights unpacks"},
    {"granite-3.0-1b-a400m", "d=1024 f=512 e=32 k=8 act=swiglu " BF16 " router=topk>softmax", ""},
    {"granite-3.0-3b-a800m", "d=1536 f=512 e=40 k=8 act=swiglu " BF16 " router=topk>softmax", ""},
    {"granite-4.0-h-small",
     "d=4096 f=768 e=72 k=10 act=swiglu " BF16 " router=topk>softmax shared=1536", ""},
    {"granite-4.0-h-tiny",
     "d=1536 f=512 e=64 k=6 act=swiglu " BF16 " router=topk>softmax shared=1024", ""},
    {"grok-1", "d=6144 f=32768 e=8 k=2 act=geglu_tanh " BF16 " router=softmax>topk", ""},
    {"gshard-600b", "d=1024 f=8192 e=2048 k=2 act=relu " BF16
     " router=softmax>topk>renorm(1e-9) capacity=2,gshard,min(4)",
     "as evaluated, keeping every second expert; a call is a group"},
    {"gshard-600b-train", "d=1024 f=8192 e=2048 k=2 act=relu " BF16
     " router=softmax>topk>renorm(1e-9)>second(paper) capacity=1.25,gshard,min(4)",
     "its paper's law for second experts; Mesh TensorFlow's is second(mesh); a call is a group"},
    {"hash-layer-64",
     "d=1024 f=4096 e=64 k=1 act=relu " BF16 " router=softmax>hash>renorm bias=up,down",
     "every weight is 1"},
    {"hunyuan-a13b", "d=4096 f=3072 e=64 k=8 act=swiglu " BF16
     " router=softmax>topk>renorm router_dtype=f32 shared=3072", ""},
    {"hy3", "d=4096 f=1536 e=192 k=8 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.826) shared=1536", ""},
    {"kimi-k2", "d=7168 f=2048 e=384 k=8 act=swiglu " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.827) shared=2048",
     "published weights are FP8, which run --weights unpacks"},
    {"llama-4-maverick",
     "d=5120 f=8192 e=128 k=1 act=swiglu " BF16 " router=topk>sigmoid>input shared=8192", ""},
    {"llama-4-scout",
     "d=5120 f=8192 e=16 k=1 act=swiglu " BF16 " router=topk>sigmoid>input shared=8192", ""},
    {"megablocks-dmoe-medium", "d=1024 f=4096 e=64 k=1 act=gelu_tanh " BF16 " router=softmax>topk",
     ""},
    {"minimax-m2", "d=3072 f=1536 e=256 k=8 act=swiglu " BF16 " router=sigmoid+bias>topk>renorm",
     "published weights are FP8, which run --weights unpacks"},
    {"mixtral-8x22b", "d=6144 f=16384 e=8 k=2 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"mixtral-8x7b", "d=4096 f=14336 e=8 k=2 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"nemotron-3-nano-30b-a3b", "d=2688 f=1856 e=128 k=6 act=relu2 " BF16
     " router=sigmoid+bias>topk>renorm>scale(2.5) router_dtype=f32 shared=3712", ""},
    {"nllb-moe-54b",
     "d=2048 f=8192 e=128 k=2 act=relu x=f32 w=f32 router=softmax>topk>renorm bias=up,down",
     "as evaluated, where nothing is dropped"},
    {"nllb-moe-54b-train", "d=2048 f=8192 e=128 k=2 act=relu x=f32 w=f32"
     " router=softmax>topk>renorm capacity=2,nllb bias=up,down drop=renorm",
     "keeping every second expert"},
    {"olmoe-1b-7b", "d=2048 f=1024 e=64 k=8 act=swiglu " BF16 " router=softmax>topk", ""},
    {"peer-1m", "d=1024 f=1 e=1048576 k=128 act=gelu " BF16 " router=peer(8,1024,256) bias=router",
     "8 heads of 16 neurons, queries of 2*128 as in PEER-pytorch, any d; fold the queries' batch "
     "norm into router.weight and router.bias"},
    {"phi-3.5-moe", "d=4096 f=6400 e=16 k=2 act=swiglu " BF16 " router=topk>sparsemixer(0.01)", ""},
    {"pkm", "d=1024 f=1 e=262144 k=128 act=none " BF16 " router=peer(4,512,256) bias=router",
     "XLM's product-key memory: 4 heads of 32 values, any d; fold the queries' batch norm into "
     "router.weight and router.bias"},
    {"qwen1.5-moe-a2.7b",
     "d=2048 f=1408 e=60 k=4 act=swiglu " BF16 " router=softmax>topk shared=5632,gated", ""},
    {"qwen2-57b-a14b",
     "d=3584 f=2560 e=64 k=8 act=swiglu " BF16 " router=softmax>topk shared=20480,gated", ""},
    {"qwen3-235b-a22b", "d=4096 f=1536 e=128 k=8 act=swiglu " BF16 " router=softmax>topk>renorm",
     ""},
    {"qwen3-235b-a22b-ep8-shard",
     "d=4096 f=1536 e=128 k=8 act=swiglu " BF16 " router=softmax>topk>renorm local=16",
     "one of 8 devices with 16 experts each"},
    {"qwen3-30b-a3b", "d=2048 f=768 e=128 k=8 act=swiglu " BF16 " router=softmax>topk>renorm", ""},
    {"qwen3-next-80b-a3b",
     "d=2048 f=512 e=512 k=10 act=swiglu " BF16 " router=softmax>topk>renorm shared=512,gated",
     ""},
    {"qwen3-vl-235b-a22b", "d=4096 f=1536 e=128 k=8 act=swiglu " BF16 " router=softmax>topk>renorm",
     ""},
    {"qwen3.5-35b-a3b",
     "d=2048 f=512 e=256 k=8 act=swiglu " BF16 " router=softmax>topk>renorm shared=512,gated", ""},
    {"qwen3.5-397b-a17b",
     "d=4096 f=1024 e=512 k=10 act=swiglu " BF16 " router=softmax>topk>renorm shared=1024,gated",
     ""},
    {"sparsely-gated-256", "d=512 f=1024 e=256 k=4 act=relu " BF16 " router=topk>softmax",
     "without noise, as evaluated; the sigmoid behind the layer is left to the caller"},
    {"sparsely-gated-256-train",
     "d=512 f=1024 e=256 k=4 act=relu " BF16 " router=noisy>topk>softmax",
     "the sigmoid behind the layer is left to the caller"},
    {"switch-base-128",
     "d=768 f=3072 e=128 k=1 act=relu " BF16 " router=softmax>topk capacity=1.25",
     "trained with capacity 1.25, rounded up here (1.25,switch,min(4) is its own formula); the "
     "published code drops beyond 64 rows an expert instead"},
    {"switch-base-128-train", "d=768 f=3072 e=128 k=1 act=relu " BF16
     " router=jitter(0.01)>softmax>topk capacity=1.25,switch,min(4)",
     ""},
    {"top2-of-16",
     "d=1024 f=2048 e=16 k=2 act=gelu " BF16 " router=softmax>topk>renorm capacity=1.25",
     "experts d to 2d to d, capacity 1.1 to 1.25, any d"},
    {"v-moe-l16", "d=1024 f=4096 e=32 k=2 act=gelu_tanh " BF16
     " router=softmax>topk capacity=1.05 bias=up,down priority=gate",
     "capacity is rounded up, and second choices go by their own weight, not by the first one's"},
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

moe_status moe_preset_model(const char *what, const char *family, moe_model *out) {
    if (is_file(what) && !is_preset(what)) return moe_config_model_as(what, family, out);
    *out = (moe_model){0};
    snprintf(out->family, sizeof out->family, "%s", family ? family : "");
    return read_layer(what, &out->layer);
}
