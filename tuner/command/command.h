/* command.h - the subcommands of moetune and what they share. Only these files print. */
#ifndef MOE_COMMAND_H
#define MOE_COMMAND_H

#include "device/device.h"
#include "gen.h"

/* Exit statuses of every subcommand. */
enum { COMMAND_GOOD = 0, COMMAND_FAILED = 1, COMMAND_MISUSE = 2, COMMAND_BROKEN = 3 };

/* Prints "moetune: <message of the last failure>" on stderr; returns the exit status that fits:
 * what the user wrote is misuse, what is missing or damaged is broken. */
int command_fail(moe_status status);

/* Opens the folder given, or $MOETUNE_TEMPLATES, or the one beside the program: ../templates of a
 * build, ../share/moetune/templates of an installation, templates of the working folder. */
moe_status command_templates(const char *given, moe_gen **out);

/* The database asked for, or (path NULL) the default one where it exists; *db stays NULL where it
 * does not. */
moe_status command_database(const char *path, moe_db **db);

/* Opens a device by name. Where there is no GPU, "auto" is the simulated H100, and stderr says
 * so. */
moe_status command_device(const char *name, moe_device **out);

/* The facts of a device by name ("auto", "sim:h100", "cuda:0"), by its line of text, or by arch
 * alone ("sm_90a": a middling board, for those who only want code). */
moe_status command_facts(const char *name, moe_facts *out);

/* Each parses its own options (argp) and returns an exit status. */
int cmd_info(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_emit(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_layer(int argc, char **argv);
int cmd_tune(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_db(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_simulate(int argc, char **argv);

#endif
