/* command_tools.c - what the commands work with. */
#include "command/command_tools.h"

enum { COMPILE_DEADLINE = 60 };

static moe_status open_pool(const command_goal *goal, command_tools *t) {
    (void)goal;
    return moe_compile_pool_open(moe_compile_pool_size(), COMPILE_DEADLINE, &t->pool);
}

static moe_status open_storage(const command_goal *goal, command_tools *t) {
    return moe_storage_open(goal->db, &t->storage);
}

static moe_status open_db(const command_goal *goal, command_tools *t) {
    return command_database(goal->db, &t->db);
}

static moe_status open_device(const command_goal *goal, command_tools *t) {
    return command_device(goal->device, &t->device);
}

static moe_status open_builder(const command_goal *goal, command_tools *t) {
    (void)goal;
    return moe_builder_open(moe_device_facts(t->device)->arch, t->storage, t->pool, &t->builder);
}

static const struct {
    unsigned which;
    moe_status (*open)(const command_goal *goal, command_tools *t);
} order[] = {
    {TOOLS_POOL, open_pool},     {TOOLS_STORAGE, open_storage}, {TOOLS_DB, open_db},
    {TOOLS_DEVICE, open_device}, {TOOLS_BUILDER, open_builder},
};

moe_status command_tools_open(const command_goal *goal, unsigned which, command_tools *out) {
    *out = (command_tools){0};
    MOE_TRY(command_goal_templates(goal, &out->gen));
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (which & order[i].which) MOE_TRY(order[i].open(goal, out));
    return MOE_OK;
}

void command_tools_close(command_tools *t) {
    moe_builder_close(t->builder);
    moe_compile_pool_close(t->pool);
    moe_db_close(t->db);
    moe_storage_close(t->storage);
    moe_gen_close(t->gen);
    moe_device_close(t->device);
}
