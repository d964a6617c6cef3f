/* run_case.h - moetune run as a user runs it, for tests: safetensors in, safetensors out. */
#ifndef TESTS_RUN_CASE_H
#define TESTS_RUN_CASE_H

#include "models/safetensors.h"
#include "workload.h"

enum { T = 5, MAX_TENSORS = 12 };

/* A folder for the files, made and removed around a program's tests; the user's own database is
 * kept out of them. */
extern char run_folder[];
int run_make_folder(void **state);
int run_remove_folder(void **state);
void run_empty(void);

/* Runs the program with its messages in `text`; returns the exit status. */
int run_command(const char *options, char *text, size_t size);

/* The same for a layer and an input of the folder. */
int run_layer(const char *layer, const char *input, const char *output, char *text, size_t size);

/* The tensors of a workload by the names of the command, and a file of the folder with them. */
int64_t run_tensors(const moe_workload *w, moe_tensor *out);
void run_input(const moe_workload *w, const char *name);

/* y, ids and weights of the file against the reference for the file's own ids. */
void run_judge(const moe_workload *w, const char *path);

#endif
