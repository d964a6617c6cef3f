/* house.h - what the checks of the source tree share: its files, their text, their includes. */
#ifndef HOUSE_H
#define HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HOUSE_PATH = 512 };

typedef struct house_files {
    char (*path)[HOUSE_PATH];
    int count, room;
} house_files;

/* Adds the files of a folder and of those in it whose names end as one of `endings` (words), in the
 * order of their names. Paths begin with `folder`; a folder that is not there has none. */
void house_find(house_files *files, const char *folder, const char *endings);
void house_forget(house_files *files);

/* The whole of a file that must be there; free() it. */
char *house_read(const char *path);
/* Writes a file and the folders on its way, for trees that are wrong on purpose. */
void house_write(const char *root, const char *path, const char *text);
/* A fresh folder for them; emptied and removed by house_remove. */
void house_scratch(char *folder, size_t size);
void house_remove(const char *folder);

typedef struct house_include {
    char quote; /* '<' or '"' */
    char name[256];
} house_include;

/* The next #include of a text, and where to go on behind it; NULL where there is no more. */
const char *house_next_include(const char *at, house_include *out);

/* The file that `name` means where `from` includes it, as the compiler finds it: beside it, or in a
 * folder at the top. False where there is no such file (it is generated, or a library's). */
bool house_resolve(const char *root, const char *from, const char *name, char *path, size_t size);

/* The part of a path before its last '/'; "" where there is none. */
void house_folder(const char *path, char *folder, size_t size);

/* Is `word` in a list of words separated by spaces? */
bool house_has(const char *list, const char *word);

#endif
