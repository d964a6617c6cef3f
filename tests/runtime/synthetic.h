/* synthetic.h - databases made by hand: the shipped schema, and rows that no tuner has seen. */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include "core/pipeline.h"

#include <sqlite3.h>

/* A new database with the shipped schema. */
sqlite3 *synthetic_open(const char *path);
void synthetic_close(sqlite3 *db);
void synthetic_run(sqlite3 *db, const char *sql);

/* Adds a device by its line of facts; returns its id. */
int64_t synthetic_device(sqlite3 *db, const char *facts);

/* The PTX of images: a module without kernels. */
#define SYNTHETIC_PTX ".version 9.0\n.target sm_90\n.address_size 64\n"

/* Adds an image; `code` is a set of 'c' (cubin) and 'p' (PTX). */
void synthetic_image(sqlite3 *db, const char *hash, const char *arch, const char *launch,
                     const char *code);

typedef struct synthetic_row {
    int64_t device;
    moe_op_kind kind;
    const char *layer; /* layer text */
    int64_t tokens;
    const char *routing, *cache;            /* NULL: uniform, cold */
    const char *config, *outcome, *timer;   /* NULL: "", ok, model where n > 0 */
    int64_t n;                              /* 0: never timed */
    double med, mad;
    int is_default;
    const char *image; /* NULL: none */
} synthetic_row;

/* Adds a record of template "<op>@00000001"; returns its id. */
int64_t synthetic_record(sqlite3 *db, const synthetic_row *row);

/* Adds a choice whose steps are `records`, one for each op of a form. */
void synthetic_form(sqlite3 *db, int64_t device, const char *layer, int64_t tokens, double med,
                    const moe_pipeline_info *form, const int64_t *records);

/* The same of the form of separate ops. */
void synthetic_choice(sqlite3 *db, int64_t device, const char *layer, int64_t tokens, double med,
                      const int64_t *records);

/* A whole database: a timed record of each op at t=64, with image "i" for sm_90a. */
void synthetic_plain(const char *path, const char *facts, const char *layer);

#endif
