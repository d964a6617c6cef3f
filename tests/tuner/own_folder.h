/* own_folder.h - a folder under /tmp that all tests of a program share. */
#ifndef TESTS_OWN_FOLDER_H
#define TESTS_OWN_FOLDER_H

/* Setup and teardown of the program's group of tests. */
int own_folder_make(void **state);
int own_folder_drop(void **state);

/* The path of a file in it; good for the next 255 calls. */
const char *in_folder(const char *name);

#endif
