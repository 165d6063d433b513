/* Lists the working directory: each file with its size, and the sum. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio.h"

/* How many requests are in flight at most. 64 keep a fast disk busy. */
enum { IN_FLIGHT = 64 };

/* Waits for a request and takes what it has come to, or ends the program. */
static aio_outcome take(aio_req request, const char *path) {
    aio_outcome outcome;
    aio_error error;
    if (aio_wait(request, &outcome, &error)) return outcome;
    fprintf(stderr, "%s: %s, errno %u\n", path, aio_strerror(error), (unsigned)error.errno);
    exit(1);
}

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

int main(void) {
    /* A name from the host has a length and no NUL at its end. */
    aio_outcome listing = take(aio_readdir(NULL, "."), ".");
    size_t count = listing.val.names.len;
    char **names = calloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = strndup((char *)listing.val.names.ptr[i].ptr, listing.val.names.ptr[i].len);
    qsort(names, count, sizeof *names, by_name);
    aio_outcome_free(&listing);

    /* A request returns at once: the host looks at some files while we print others. */
    aio_req requests[IN_FLIGHT];
    unsigned long long bytes = 0;
    for (size_t next = 0, shown = 0; shown < count; shown++) {
        for (; next < count && next < shown + IN_FLIGHT; next++)
            requests[next % IN_FLIGHT] = aio_lstat(NULL, names[next]);
        aio_status status = take(requests[shown % IN_FLIGHT], names[shown]).val.status;
        if (status.type == AIO_TYPE(REGULAR_FILE)) {
            printf("%10llu  %s\n", (unsigned long long)status.size, names[shown]);
            bytes += status.size;
        } else {
            printf("%10s  %s%s\n", "-", names[shown], status.type == AIO_TYPE(DIRECTORY) ? "/" : "");
        }
    }
    printf("%zu entries, %llu bytes\n", count, bytes);
}
