/* main.c - the moetune command: a table of subcommands. */
#include "command/command.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"info", cmd_info, "devices, libraries, templates, presets; what is missing and how to get it"},
    {"check", cmd_check, "tuned kernels and plans against the reference"},
    {"bench", cmd_bench, "time, TFLOP/s, GB/s, share of the roofline, beside cuBLAS"},
    {"run", cmd_run, "one layer on given tensors"},
    {"emit", cmd_emit, "CUDA, PTX, cubin or compiler log of one kernel"},
    {"simulate", cmd_simulate, "any kernel on the simulated GPU, with every check"},
    {"tune", cmd_tune, "the fastest kernels of a layer, into the database"},
    {"db", cmd_db, "build, export and show tuning databases"},
    {"merge", cmd_merge, "experts of a layer averaged into one"},
    {"layer", cmd_layer, "what a layer is: shapes, parameters, bytes, FLOPs, router rule"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to) {
    fprintf(to, "usage: moetune COMMAND [OPTION...]; moetune COMMAND --help says more\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "    %-10s %s\n", commands[i].name, commands[i].help);
}

static int run(int argc, char **argv) {
    static char name[64]; /* argp shows it as the program's name */
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, argv[1])) continue;
        snprintf(name, sizeof name, "moetune %s", argv[1]);
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "moetune: there is no command '%s'; moetune --help lists them\n", argv[1]);
    return COMMAND_MISUSE;
}

/* A simulated kernel is many short parallel loops, between which OpenMP's threads spin unless told
 * otherwise: where other programs want the cores, too, that was half of the time. libgomp reads its
 * environment before main, so the program starts anew; where it cannot, it goes on as it is. */
static void let_idle_threads_sleep(char **argv) {
    if (getenv("OMP_WAIT_POLICY")) return;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
    let_idle_threads_sleep(argv);
    argp_err_exit_status = COMMAND_MISUSE;
    if (argc < 2) {
        print_help(stderr);
        return COMMAND_MISUSE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return COMMAND_GOOD;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("moetune %s\n", moe_version());
        return COMMAND_GOOD;
    }
    return run(argc, argv);
}
