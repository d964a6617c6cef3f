/* command_case.h - the program as a user runs it, for tests in a folder of their own. */
#ifndef TESTS_COMMAND_CASE_H
#define TESTS_COMMAND_CASE_H

#include "own_folder.h"

#include <jansson.h>
#include <sys/types.h>

/* A layer small enough to be tuned in a test, and the tune but for --limit and --db. */
#define LAYER "d=64 f=32 e=4 k=2"
#define TUNE                                                                                       \
    "tune", "--device", "sim:a100", "--layer", LAYER, "--tokens", "8", "--budget", "4:00",         \
        "--quiet", "--json"

/* Starts the program; its output goes to files. */
pid_t command_start(const char *const *args, const char *out, const char *err);
int command_wait(pid_t child);

/* Runs it with the files out and err of the folder; a status above 2 prints the latter. */
int command_run(const char *const *args);

/* A whole file as text, to be freed, and as JSON. */
char *command_text(const char *path);
json_t *command_json(const char *path);

#endif
