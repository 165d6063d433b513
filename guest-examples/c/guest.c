/* What any guest needs: to give up with a message, to write a file, and a clock. */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WRITE_PIECE = 128 * 1024 };

aio_outcome take(aio_req request, const char *path) {
    aio_outcome outcome;
    aio_error error;
    if (!aio_wait(request, &outcome, &error)) {
        fprintf(stderr, "%s: %s, errno %u\n", path, aio_strerror(error), (unsigned)error.errno);
        exit(1);
    }
    return outcome;
}

void replace(const char *path, const char *temporary, char *text, size_t length) {
    int flags = AIO_OPEN(WRITE) | AIO_OPEN(CREATE) | AIO_OPEN(TRUNCATE) | AIO_OPEN(NO_FOLLOW);
    /* With nothing to do meanwhile, a request is taken as soon as it is submitted. */
    aio_file file = take(aio_open(NULL, temporary, flags, 0666), temporary).val.file;
    while (length > 0) {
        size_t piece = length < WRITE_PIECE ? length : WRITE_PIECE;
        size_t written = take(aio_write(file, AIO_POSITION, text, piece), temporary).val.count;
        text += written, length -= written;
    }
    take(aio_fdatasync(file), temporary);
    take(aio_close(file), temporary);
    take(aio_rename(NULL, temporary, NULL, path), path);
}

double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
