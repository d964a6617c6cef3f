/* workbench.h - a tuner on a simulated GPU with a database in a folder of its own, for tests. */
#ifndef TESTS_WORKBENCH_H
#define TESTS_WORKBENCH_H

#include "tune/session.h"

typedef struct workbench {
    moe_tuner tuner;
    moe_device *device;
    moe_gen *gen;
    moe_storage *storage;
    moe_compile_pool *pool;
    moe_builder *builder;
} workbench;

/* A fresh folder under /tmp, removed by workbench_remove. */
void workbench_folder(char folder[64]);
void workbench_remove(const char *folder);

/* Fails the running test where something cannot be opened. */
void workbench_open(workbench *bench, const char *device, const char *templates, const char *db);
void workbench_close(workbench *bench);

#endif
