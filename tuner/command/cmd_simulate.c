/* cmd_simulate.c - moetune simulate: any kernel on the simulated GPU, with every check. */
#include "command/command.h"
#include "command/simulate_arg.h"
#include "compile/compile.h"
#include "gpu/sim_device.h"
#include "model/model.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGS = 64, MAX_FOLDERS = 32, HOT_LINES = 5, MAX_TEXT = 64 << 20 };

typedef struct options {
    const char *file, *entry, *arch;
    char chip[64]; /* "": to be chosen */
    moe_dims dims;
    sim_options sim;
    bool json;
    simulate_arg arg[MAX_ARGS];
    int args;
    const char *folder[MAX_FOLDERS + 1]; /* of headers */
    int folders;
} options;

enum { KEY_ENTRY = 256, KEY_GRID, KEY_BLOCK, KEY_SMEM, KEY_ARCH, KEY_DEVICE, KEY_SEED, KEY_THREADS,
       KEY_UNCHECKED, KEY_JSON, KEY_ARG, KEY_CLUSTER, KEY_LIMIT };

static const struct argp_option option_table[] = {
    {"entry", KEY_ENTRY, "NAME", 0, "the kernel; may be left out if the file has one", 0},
    {"grid", KEY_GRID, "X[,Y[,Z]]", 0, "blocks (default: 1)", 0},
    {"block", KEY_BLOCK, "X[,Y[,Z]]", 0, "threads a block (default: 32)", 0},
    {"cluster", KEY_CLUSTER, "X[,Y[,Z]]", 0, "blocks a cluster (default: as the kernel says)", 0},
    {"smem", KEY_SMEM, "BYTES", 0, "dynamic shared memory", 0},
    {"arg", KEY_ARG, "ARG", 0, "the next parameter: i32:7, f32:0.5, buf:TYPE:COUNT, "
     "buf:f32:64:zero, buf:bf16:64:rand:7, buf:i32:64:FILE; >FILE behind it writes it out", 0},
    {"device", KEY_DEVICE, "sim:CHIP", 0, "a chip that moetune info lists (default: by --arch); "
     "options behind it, as in sim:h100,seed=7", 0},
    {"include", 'I', "DIR", 0, "search a folder for headers; CUDA's own are found beside NVRTC", 0},
    {"arch", KEY_ARCH, "ARCH", 0, "compile for sm_80, sm_90a, ... (default: the chip's)", 0},
    {"seed", KEY_SEED, "S", 0, "run warps in a random order", 0},
    {"threads", KEY_THREADS, "N", 0, "host threads (default: all cores)", 0},
    {"limit", KEY_LIMIT, "N|Ts", 0, "stop after N warp instructions, or after T seconds, and say "
     "where the warps stand (default: 2^28 instructions a block)", 0},
    {"unchecked", KEY_UNCHECKED, NULL, 0, "faster: no search for races and unwritten memory", 0},
    {"json", KEY_JSON, NULL, 0, "counters and model time as JSON", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static uint64_t whole_number(struct argp_state *state, const char *text, uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > most)
        argp_error(state, "'%s' is not a whole number up to %llu", text, (unsigned long long)most);
    return value;
}

static void parse_sizes(struct argp_state *state, const char *text, uint32_t size[3]) {
    char copy[64], *next = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (int i = 0; i < 3; i++) {
        char *part = strsep(&next, ",");
        size[i] = part ? (uint32_t)whole_number(state, part, INT32_MAX) : 1;
    }
    if (next) argp_error(state, "'%s': at most three sizes", text);
}

static void parse_cluster(struct argp_state *state, const char *text, moe_dims *dims) {
    uint32_t size[3];
    parse_sizes(state, text, size);
    dims->cluster = size[0];
    dims->cluster_y = size[1];
    dims->cluster_z = size[2];
}

/* 1000000 is a number of instructions, 2.5s a time. */
static void parse_limit(struct argp_state *state, const char *text, sim_options *sim) {
    char *end;
    double seconds = strtod(text, &end);
    if (end > text && !strcmp(end, "s") && seconds > 0) sim->most_seconds = seconds;
    else sim->most_instructions = whole_number(state, text, INT64_MAX);
}

static void add_folder(struct argp_state *state, options *o, const char *folder) {
    if (o->folders == MAX_FOLDERS) argp_error(state, "more than %d folders", MAX_FOLDERS);
    o->folder[o->folders++] = folder;
}

static void add_arg(struct argp_state *state, options *o, const char *text) {
    if (o->args == MAX_ARGS) argp_error(state, "more than %d arguments", MAX_ARGS);
    if (simulate_arg_parse(text, &o->arg[o->args++])) argp_error(state, "%s", moe_error_text());
}

static void parse_device(struct argp_state *state, options *o, const char *text) {
    if (!strncmp(text, "sim:", 4)) text += 4;
    if (sim_device_parse(text, o->chip, sizeof o->chip, &o->sim))
        argp_error(state, "--device: %s", moe_error_text());
}

static error_t parse_option(int key, char *value, struct argp_state *state) {
    options *o = state->input;
    switch (key) {
    case KEY_ENTRY: o->entry = value; break;
    case KEY_GRID: parse_sizes(state, value, o->dims.grid); break;
    case KEY_BLOCK: parse_sizes(state, value, o->dims.block); break;
    case KEY_CLUSTER: parse_cluster(state, value, &o->dims); break;
    case KEY_LIMIT: parse_limit(state, value, &o->sim); break;
    case 'I': add_folder(state, o, value); break;
    case KEY_SMEM: o->dims.smem = (uint32_t)whole_number(state, value, 1 << 30); break;
    case KEY_ARG: add_arg(state, o, value); break;
    case KEY_DEVICE: parse_device(state, o, value); break;
    case KEY_ARCH: o->arch = value; break;
    case KEY_SEED: o->sim.seed = whole_number(state, value, INT64_MAX); break;
    case KEY_THREADS: o->sim.threads = (int)whole_number(state, value, 1024); break;
    case KEY_UNCHECKED: o->sim.checks = false; break;
    case KEY_JSON: o->json = true; break;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one file only");
        o->file = value;
        break;
    case ARGP_KEY_END:
        if (!o->file) argp_error(state, "a file is needed: FILE.cu or FILE.ptx");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table, parse_option, "FILE.cu|FILE.ptx",
    "Runs a kernel on the simulated GPU and reports out-of-bounds and misaligned accesses, reads "
    "of memory nobody wrote, races, missing waits, deadlocks; else what it executed and its time "
    "by the model.\n\n"
    "  moetune simulate saxpy.cu --entry saxpy --grid 4 --block 256 --arg f32:2 "
    "--arg buf:f32:1024:rand --arg 'buf:f32:1024:zero>y.bin' --arg i32:1024\n\n"
    "Exit status: 0 clean, 1 the kernel misbehaved, 2 misuse, 3 something is missing.",
    NULL, NULL, NULL,
};

/* --------------------------------------------------------------------------------- the kernel */

/* The chip asked for, else the first of the architecture, else h100. */
static moe_status find_chip(options *o, moe_facts *facts) {
    const char *chip = *o->chip ? o->chip : NULL;
    for (int i = 0; !chip && o->arch && sim_chip_names[i]; i++) {
        MOE_TRY(moe_facts_parse(sim_chip_facts(sim_chip_names[i]), facts));
        if (!strcmp(facts->arch, o->arch)) chip = sim_chip_names[i];
    }
    if (!chip) chip = "h100";
    if (!sim_chip_facts(chip))
        return moe_fail(MOE_E_INVALID, "no simulated chip '%s'; see --help", chip);
    MOE_TRY(moe_facts_parse(sim_chip_facts(chip), facts));
    if (!o->arch) o->arch = facts->arch;
    return MOE_OK;
}

static moe_status read_text(const char *path, char **out) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t used = 0, room = 0, got = 1;
    if (!file) return moe_fail(MOE_E_NOT_FOUND, "%s: %s", path, strerror(errno));
    while (got > 0 && room < MAX_TEXT) {
        char *more = realloc(text, room = room ? 2 * room : 65536);
        if (!more) break;
        text = more;
        used += got = fread(text + used, 1, room - used - 1, file);
    }
    bool bad = got > 0 || ferror(file);
    fclose(file);
    if (!bad) {
        text[used] = '\0';
        *out = text;
        return MOE_OK;
    }
    free(text);
    return moe_fail(MOE_E_IO, "%s: cannot be read, or is too large", path);
}

/* PTX as it is, CUDA through the compiler. `log` and `ptx` are the caller's to free. */
static moe_status make_ptx(const options *o, char **ptx, char **log) {
    const char *dot = strrchr(o->file, '.');
    char *text = NULL;
    MOE_TRY(read_text(o->file, &text));
    if (dot && !strcmp(dot, ".ptx")) {
        *ptx = text;
        return MOE_OK;
    }
    moe_compiled compiled;
    moe_status status = moe_compile_file(o->file, text, o->arch, o->folder, &compiled);
    free(text);
    if (status != MOE_OK) return status;
    if (compiled.outcome != MOE_OUTCOME_OK)
        status = moe_fail(MOE_E_COMPILE, "%s", compiled.reason);
    *ptx = compiled.ptx;
    *log = compiled.log;
    compiled.ptx = compiled.log = NULL;
    moe_compiled_free(&compiled);
    return status;
}

static moe_status find_entry(const options *o, sim_module *module, int *out) {
    int count = sim_entry_count(module);
    if (!count) return moe_fail(MOE_E_INVALID, "%s has no kernel; in CUDA, make one extern \"C\" "
                                "__global__", o->file);
    const char *name = o->entry ? o->entry : sim_entry_name(module, 0);
    moe_status status = MOE_E_NOT_FOUND;
    if (o->entry || count == 1) status = sim_find_entry(module, name, out);
    if (status != MOE_E_NOT_FOUND) return status;
    char names[512];
    moe_text list = moe_text_start(names, sizeof names);
    for (int i = 0; i < count; i++) moe_text_add(&list, " %s", sim_entry_name(module, i));
    return moe_fail(MOE_E_INVALID, "say --entry with one of:%s", names);
}

/* ------------------------------------------------------------------------------------ reports */

static const char *const class_names[] = {
#define SIM_CLASS(name, latency, slots, help) #name,
#include "model/class.def"
#undef SIM_CLASS
};

static const struct {
    const char *name;
    size_t offset;
} counter_table[] = {
    {"load_sectors", offsetof(sim_counters, load_sectors)},
    {"bulk_sectors", offsetof(sim_counters, bulk_sectors)},
    {"store_sectors", offsetof(sim_counters, store_sectors)},
    {"atomic_sectors", offsetof(sim_counters, atomic_sectors)},
    {"block_scattered_max", offsetof(sim_counters, block_scattered_max)},
    {"unique_bytes", offsetof(sim_counters, unique_bytes)},
    {"missed_bytes", offsetof(sim_counters, missed_bytes)},
    {"shared_wavefronts", offsetof(sim_counters, shared_wavefronts)},
    {"async_bytes", offsetof(sim_counters, async_bytes)},
    {"barriers", offsetof(sim_counters, barriers)},
    {"mma_flops_f16", offsetof(sim_counters, mma_flops[SIM_MMA_F16])},
    {"mma_flops_tf32", offsetof(sim_counters, mma_flops[SIM_MMA_TF32])},
};
enum { COUNTERS = sizeof counter_table / sizeof *counter_table };

static uint64_t counter(const sim_counters *counters, int row) {
    return *(const uint64_t *)((const char *)counters + counter_table[row].offset);
}

static const struct {
    const char *name;
    size_t offset;
} time_table[] = {
    {"launch", offsetof(sim_time, launch)}, {"issue", offsetof(sim_time, issue)},
    {"tensor", offsetof(sim_time, tensor)}, {"shared", offsetof(sim_time, shared)},
    {"l2", offsetof(sim_time, l2)},         {"dram", offsetof(sim_time, dram)},
    {"latency", offsetof(sim_time, latency)},
};
enum { TIMES = sizeof time_table / sizeof *time_table };

static double time_part(const sim_time *time, int row) {
    return *(const double *)((const char *)time + time_table[row].offset);
}

static void print_json(const char *entry, const moe_facts *facts, const sim_counters *c,
                       const sim_time *time) {
    printf("{\"entry\": \"%s\", \"device\": \"%s\", \"timer\": \"model\", \"ns\": %.1f,\n"
           " \"parts\": {",
           entry, facts->name, time->total);
    for (int i = 0; i < TIMES; i++)
        printf("%s\"%s\": %.1f", i ? ", " : "", time_table[i].name, time_part(time, i));
    printf("},\n \"blocks\": %llu, \"warps\": %llu, \"instructions\": %llu,\n \"classes\": {",
           (unsigned long long)c->blocks, (unsigned long long)c->warps,
           (unsigned long long)sim_counters_instr(c));
    for (int i = 0; i < SIM_CLASS_COUNT; i++)
        printf("%s\"%s\": %llu", i ? ", " : "", class_names[i], (unsigned long long)c->instr[i]);
    printf("}");
    for (int i = 0; i < COUNTERS; i++)
        printf(", \"%s\": %llu", counter_table[i].name, (unsigned long long)counter(c, i));
    printf("}\n");
}

static void print_counters(const sim_counters *c) {
    printf("%llu warp instructions in %llu warps of %llu blocks:",
           (unsigned long long)sim_counters_instr(c), (unsigned long long)c->warps,
           (unsigned long long)c->blocks);
    for (int i = 0; i < SIM_CLASS_COUNT; i++)
        if (c->instr[i]) printf(" %s=%llu", class_names[i], (unsigned long long)c->instr[i]);
    printf("\ncounters:");
    for (int i = 0; i < COUNTERS; i++)
        if (counter(c, i))
            printf(" %s=%llu", counter_table[i].name, (unsigned long long)counter(c, i));
    printf("\n");
}

static void print_time(const moe_facts *facts, const sim_time *time) {
    printf("model: %.2f us on %s;", time->total / 1e3, facts->name);
    for (int i = 0; i < TIMES; i++)
        printf(" %s=%.2f", time_table[i].name, time_part(time, i) / 1e3);
    printf("; %lld blocks an SM, %lld rounds\n", (long long)time->resident, (long long)time->waves);
}

static moe_status print_hot_lines(const sim_context *gpu) {
    const sim_line *lines;
    size_t count;
    MOE_TRY(sim_last_profile(gpu, &lines, &count));
    for (size_t i = 0; i < count && i < HOT_LINES; i++)
        printf("%12llu  %s%s%u\n", (unsigned long long)lines[i].executed,
               lines[i].file ? lines[i].file : "PTX line", lines[i].file ? ":" : " ",
               lines[i].line);
    return MOE_OK;
}

static moe_status print_buffers(const options *o, sim_context *gpu) {
    char text[512];
    for (int i = 0; i < o->args; i++) {
        if (!o->arg[i].buffer) continue;
        MOE_TRY(simulate_arg_result(&o->arg[i], gpu, text, sizeof text));
        if (!o->json) printf("arg %d: %s\n", i, text);
    }
    return MOE_OK;
}

static moe_status report(const options *o, sim_context *gpu, const sim_entry *entry,
                         const char *log, const moe_facts *facts) {
    const sim_counters *counters = sim_last_counters(gpu);
    moe_kernel kernel = {.static_smem = entry->static_shared};
    sim_time time;
    if (log) moe_log_resources(log, entry->name, &kernel);
    sim_model_explain(counters, &kernel, &o->dims, facts, &time);
    if (o->json) {
        print_json(entry->name, facts, counters, &time);
    } else {
        print_counters(counters);
        print_time(facts, &time);
        MOE_TRY(print_hot_lines(gpu));
    }
    return print_buffers(o, gpu);
}

/* ------------------------------------------------------------------------------------ the run */

static moe_status launch(options *o, sim_context *gpu, sim_module *module, const char *log,
                         const moe_facts *facts) {
    static unsigned char packed[32768]; /* more than any kernel may take */
    int entry;
    MOE_TRY(find_entry(o, module, &entry));
    const sim_entry *info = sim_entry_info(module, entry);
    for (int i = 0; i < o->args; i++) MOE_TRY(simulate_arg_place(&o->arg[i], gpu));
    MOE_TRY(simulate_pack(o->arg, o->args, info, packed));
    moe_status status = sim_launch(gpu, module, entry, &o->dims, packed, info->args_size);
    /* A kernel that misbehaves has written something nevertheless. */
    if (status == MOE_E_FAULT && print_buffers(o, gpu) != MOE_OK) return MOE_E_IO;
    if (status != MOE_OK) return status;
    return report(o, gpu, info, log, facts);
}

static moe_status simulate(options *o) {
    moe_facts facts;
    char *ptx = NULL, *log = NULL;
    sim_context *gpu = NULL;
    sim_module *module = NULL;
    moe_status status = find_chip(o, &facts);
    if (status == MOE_OK) status = make_ptx(o, &ptx, &log);
    if (status == MOE_OK) status = sim_open(&facts, &o->sim, &gpu);
    if (status == MOE_OK) status = sim_load(gpu, ptx, strlen(ptx), &module);
    if (status == MOE_OK) status = launch(o, gpu, module, log, &facts);
    if (module) sim_unload(gpu, module);
    sim_close(gpu);
    free(ptx);
    free(log);
    return status;
}

int cmd_simulate(int argc, char **argv) {
    options o = {.dims = {.grid = {1, 1, 1}, .block = {32, 1, 1}, .cluster = 1},
                 .sim.checks = true};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    moe_status status = simulate(&o);
    if (status == MOE_OK) return COMMAND_GOOD;
    int result = command_fail(status);
    return status == MOE_E_FAULT || status == MOE_E_COMPILE ? COMMAND_FAILED : result;
}
