/* command_case.c - see command_case.h. */
#include "command_case.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

pid_t command_start(const char *const *args, const char *out, const char *err) {
    const char *program = getenv("MOETUNE_BINARY");
    char *argv[32] = {(char *)"moetune"};
    assert_non_null(program);
    for (int i = 0; args[i]; i++) argv[i + 1] = (char *)args[i];
    pid_t child = fork();
    if (child) return child;
    int to = open(out, O_CREAT | O_TRUNC | O_WRONLY, 0666);
    int to_err = open(err, O_CREAT | O_TRUNC | O_WRONLY, 0666);
    dup2(to, STDOUT_FILENO);
    dup2(to_err, STDERR_FILENO);
    execv(program, argv);
    _exit(127);
}

int command_wait(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *command_text(const char *path) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 22);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 22) - 1, file) < (1 << 22) - 1);
    fclose(file);
    return text;
}

int command_run(const char *const *args) {
    int status = command_wait(command_start(args, in_folder("out"), in_folder("err")));
    if (status > 2) {
        char *text = command_text(in_folder("err"));
        print_message("%s\n", text);
        free(text);
    }
    return status;
}

json_t *command_json(const char *path) {
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    if (!json) fail_msg("%s:%d: %s", path, error.line, error.text);
    return json;
}
