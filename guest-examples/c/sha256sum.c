/* The text that sha256sum writes, made of paths as the host gives them. */
#include "sha256sum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct line {
    char *path, hash[65];
} *lines;
static struct sha256sum sums;

/* Turns a path into its bytes, in place. The host gives each byte that is not UTF-8, 0x80 to 0xFF, as a character from U+F780
 * to U+F7FF: in UTF-8 EF 9E 80 to EF 9E BF, and EF 9F 80 to EF 9F BF. */
static void make_raw(char *path) {
    unsigned char *from = (unsigned char *)path, *to = from;
    while (*from) {
        if (from[0] == 0xEF && (from[1] == 0x9E || from[1] == 0x9F)) {
            *to++ = (unsigned char)(0x80 | (from[1] & 1) << 6 | (from[2] & 0x3F));
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
}

/* Three characters are escaped, and a backslash at the start of the line tells so. */
static void print_line(FILE *out, const struct line *line) {
    fprintf(out, "%s%s  ", strpbrk(line->path, "\\\n\r") ? "\\" : "", line->hash);
    for (const char *c = line->path; *c; c++) {
        switch (*c) {
        case '\\': fputs("\\\\", out); break;
        case '\n': fputs("\\n", out); break;
        case '\r': fputs("\\r", out); break;
        default: fputc(*c, out);
        }
    }
    fputc('\n', out);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct line *)a)->path, ((const struct line *)b)->path);
}

void sha256sum_add(const char *path, struct sha256 *hash) {
    if ((sums.files & (sums.files - 1)) == 0) { /* The room doubles at each power of two. */
        lines = realloc(lines, (sums.files ? 2 * sums.files : 1) * sizeof *lines);
        if (!lines) abort();
    }
    struct line *line = &lines[sums.files++];
    sums.bytes += hash->length;
    sha256_finish(hash, line->hash);
    line->path = strdup(path);
    if (!line->path) abort();
    make_raw(line->path);
}

struct sha256sum sha256sum_finish(void) {
    FILE *out = open_memstream(&sums.text, &sums.length);
    if (!out) abort();
    qsort(lines, sums.files, sizeof *lines, by_path);
    for (size_t i = 0; i < sums.files; i++) print_line(out, &lines[i]);
    if (fclose(out)) abort();
    return sums;
}
