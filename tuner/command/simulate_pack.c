/* simulate_pack.c - the arguments of moetune simulate as the parameters of a kernel. */
#include "command/simulate_arg.h"

#include "core/text.h"

#include <string.h>

/* How far the arguments have gone into the parameters. */
typedef struct packing {
    const simulate_arg *args;
    int count;
    const sim_entry *entry;
    unsigned char *packed;
} packing;

static const char *type_of(const sim_parameter *p) { return p->type ? p->type : "struct"; }

/* The parameters as a declaration: "out u64, n u32". */
static void list_parameters(const sim_entry *entry, char *text, size_t size) {
    moe_text list = moe_text_start(text, size);
    for (uint32_t i = 0; i < entry->parameters; i++)
        moe_text_add(&list, "%s%s %s", i ? ", " : "", entry->parameter[i].name,
                     type_of(&entry->parameter[i]));
}

/* How many of the arguments from `first` on may be the members of a struct: at least `least`, and
 * what is left behind them is padding. 0: no such number. */
static int member_count(const packing *p, int first, int least, const sim_parameter *to) {
    size_t used = 0;
    for (int n = 1; first + n <= p->count; n++) {
        size_t size = simulate_arg_size(&p->args[first + n - 1]);
        used = (used + size - 1) / size * size + size;
        if (used > to->size) return 0;
        if (n >= least && to->size - used < 8) return n;
    }
    return 0;
}

static void put_members(const packing *p, int first, int count, const sim_parameter *to) {
    size_t used = 0;
    for (int i = first; i < first + count; i++) {
        size_t size = simulate_arg_size(&p->args[i]);
        used = (used + size - 1) / size * size;
        memcpy(p->packed + to->offset + used, &p->args[i].bits, size);
        used += size;
    }
}

static moe_status misfit(const packing *p, int arg, const sim_parameter *to) {
    char names[512];
    list_parameters(p->entry, names, sizeof names);
    if (arg >= p->count)
        return moe_fail(MOE_E_INVALID, "%s takes %u parameters (%s), but %d --arg were given: the "
                        "one for %s is missing", p->entry->name, p->entry->parameters, names,
                        p->count, to->name);
    return moe_fail(MOE_E_INVALID, "--arg %d does not fit parameter %s, a %s of %u bytes, of %s "
                    "(%s)", arg, to->name, type_of(to), to->size, p->entry->name, names);
}

static moe_status pack_from(const packing *p, uint32_t parameter, int arg);

/* A struct may end in padding that the next argument would fit, too: the fewest members are tried
 * first, then more, until the rest fits as well. */
static moe_status pack_struct(const packing *p, uint32_t parameter, int arg) {
    const sim_parameter *to = &p->entry->parameter[parameter];
    moe_status status = MOE_E_INVALID;
    int members = 0;
    while (status != MOE_OK && (members = member_count(p, arg, members + 1, to))) {
        put_members(p, arg, members, to);
        status = pack_from(p, parameter + 1, arg + members);
        if (!status) return MOE_OK;
    }
    return misfit(p, arg, to);
}

static moe_status pack_from(const packing *p, uint32_t parameter, int arg) {
    if (parameter == p->entry->parameters) {
        if (arg == p->count) return MOE_OK;
        char names[512];
        list_parameters(p->entry, names, sizeof names);
        return moe_fail(MOE_E_INVALID, "%s takes %u parameters (%s), but %d --arg were given",
                        p->entry->name, p->entry->parameters, names, p->count);
    }
    const sim_parameter *to = &p->entry->parameter[parameter];
    if (!to->type) return pack_struct(p, parameter, arg);
    if (arg == p->count || !simulate_arg_fits(&p->args[arg], to->type)) return misfit(p, arg, to);
    memcpy(p->packed + to->offset, &p->args[arg].bits, to->size);
    return pack_from(p, parameter + 1, arg + 1);
}

moe_status simulate_pack(const simulate_arg *args, int count, const sim_entry *entry,
                         unsigned char *packed) {
    const packing p = {args, count, entry, packed};
    return pack_from(&p, 0, 0);
}
