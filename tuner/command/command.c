/* command.c - what the subcommands share. */
#include "command/command.h"
#include "device/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

int command_fail(moe_status status) {
    fprintf(stderr, "moetune: %s\n", moe_error_text());
    switch (status) {
    case MOE_OK: return COMMAND_GOOD;
    case MOE_E_PARSE:
    case MOE_E_INVALID:
    case MOE_E_UNSUPPORTED: return COMMAND_MISUSE;
    default: return COMMAND_BROKEN;
    }
}

/* Folders to look in, relative to that of the program; "" is the working folder. */
static const char *const template_folders[] = {"../templates", "../share/moetune/templates", NULL};

static const char *find_templates(char *path, size_t size) {
    char folder[PATH_SIZE];
    for (int i = 0; *moe_program_folder(folder, sizeof folder) && template_folders[i]; i++) {
        snprintf(path, size, "%s/%s", folder, template_folders[i]);
        if (!access(path, R_OK | X_OK)) return path;
    }
    return "templates";
}

moe_status command_templates(const char *given, moe_gen **out) {
    char path[PATH_SIZE + 64];
    if (!given) given = getenv("MOETUNE_TEMPLATES");
    if (!given) given = find_templates(path, sizeof path);
    MOE_TRY(moe_gen_open(given, out));
    for (int i = 0; moe_gen_broken(*out, i); i++)
        fprintf(stderr, "moetune: left out: %s\n", moe_gen_broken(*out, i));
    return MOE_OK;
}

moe_status command_database(const char *path, moe_db **db) {
    moe_status status = moe_db_open(path, db);
    return status == MOE_E_NOT_FOUND && !path ? MOE_OK : status;
}

moe_status command_device(const char *name, moe_device **out) {
    static const char simulated[] = "sim:h100";
    moe_status status = moe_device_open(name, out);
    if (!status || strcmp(name, "auto")) return status;
    fprintf(stderr, "moetune: no GPU, so on %s, a simulated one (moetune info tells why)\n",
            simulated);
    return moe_device_open(simulated, out);
}

/* A board that nobody sells: its arch is what counts, the rest only feeds cost estimates. */
static const moe_facts middling = {
    .name = "any", .sms = 100, .l2 = 48 << 20, .memory = INT64_C(32) << 30, .clock = 1500,
    .bandwidth = 2000,
};

static moe_status facts_of_arch(const char *arch, moe_facts *out) {
    moe_facts facts = middling;
    snprintf(facts.arch, sizeof facts.arch, "%s", arch);
    moe_facts_complete(&facts);
    if (!facts.smem)
        return moe_fail(MOE_E_UNSUPPORTED, "nothing is known of '%.32s'; give the device's whole "
                                           "line of facts (moetune info prints it)", arch);
    *out = facts;
    return MOE_OK;
}

static moe_status facts_of_device(const char *name, moe_facts *out) {
    moe_device *device;
    MOE_TRY(command_device(name, &device));
    *out = *moe_device_facts(device);
    moe_device_close(device);
    return MOE_OK;
}

moe_status command_facts(const char *name, moe_facts *out) {
    if (strncmp(name, "sm_", 3)) return facts_of_device(name, out);
    return strchr(name, ' ') ? moe_facts_parse(name, out) : facts_of_arch(name, out);
}
