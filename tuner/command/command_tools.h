/* command_tools.h - what the commands work with: opened in one order, closed in the other. */
#ifndef MOE_COMMAND_TOOLS_H
#define MOE_COMMAND_TOOLS_H

#include "command/command_goal.h"

/* Which of them a command needs, beside templates. */
enum {
    TOOLS_POOL = 1,    /* compiles in processes of their own; they start while this one is small */
    TOOLS_STORAGE = 2, /* the database, to be written, */
    TOOLS_DB = 4,      /* or read: NULL where there is none */
    TOOLS_DEVICE = 8,
    TOOLS_BUILDER = 16 /* of the device's code, with the pool and the storage if these are there */
};

/* Owned; NULL: not asked for. */
typedef struct command_tools {
    moe_gen *gen;
    moe_compile_pool *pool;
    moe_storage *storage;
    moe_db *db;
    moe_device *device;
    moe_builder *builder;
} command_tools;

/* Opens what `goal` names. Close them whatever comes of it. */
moe_status command_tools_open(const command_goal *goal, unsigned which, command_tools *out);
void command_tools_close(command_tools *tools);

#endif
