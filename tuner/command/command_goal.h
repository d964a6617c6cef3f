/* command_goal.h - the options that tune, check and bench have in common: what to work on, and with
 * which files. */
#ifndef MOE_COMMAND_GOAL_H
#define MOE_COMMAND_GOAL_H

#include "command/command.h"
#include "tune/session.h"

#include <argp.h>

typedef struct command_goal {
    const char *device;    /* "auto" unless given */
    const char *layer;     /* as given; NULL if not */
    const char *tokens, *capacity, *routing, *cache; /* lists as given; NULL: default */
    const char *db;        /* NULL: default */
    const char *templates; /* NULL: default */
    bool any_order;        /* kernels whose sums are not bitwise repeatable are welcome */
    bool any_traffic;      /* routing may be more than a class */
    uint64_t seed;
} command_goal;

/* Lets the options be parsed as a child of a command's own parser, into a command_goal. An argument
 * that the command does not take itself is an error. */
extern const struct argp command_goal_argp;

/* The same for a parser that has no other child; its first input is the command_goal. */
extern const struct argp_child command_goal_children[];

/* Opens the templates asked for, and lets them be chosen as the goal allows. */
moe_status command_goal_templates(const command_goal *goal, moe_gen **out);

/* What the texts mean. `tokens` is the list used where none was given. MOE_E_PARSE, MOE_E_INVALID,
 * MOE_E_NOT_FOUND (layer). */
moe_status command_goal_read(const command_goal *goal, const char *tokens, moe_goal *out);

#endif
