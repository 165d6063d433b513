/* The text that sha256sum writes, made of paths as the host gives them. */
#pragma once
#include "sha256.h"

/* Takes in a file. */
void sha256sum_add(const char *path, struct sha256 *hash);

/* A line for each file, in the order of the bytes of their paths, how many files that are, and how big they are. */
struct sha256sum {
    char *text;
    size_t length, files;
    unsigned long long bytes;
};
struct sha256sum sha256sum_finish(void);
