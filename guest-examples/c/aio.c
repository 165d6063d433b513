/* What any guest needs: to give up with a message, to write a file, and a clock. */
#include "aio.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WRITE_PIECE = 128 * 1024 };

/* The generated header has the error codes as numbers only. */
#define NAME(code) [AIOHOST_AIO_TYPES_ERROR_CODE_##code] = #code
static const char *const names[256] = {
    NAME(ACCESS), NAME(ALREADY), NAME(BAD_DESCRIPTOR), NAME(BUSY), NAME(CANCELED), NAME(CROSS_DEVICE), NAME(DEADLOCK),
    NAME(QUOTA), NAME(EXIST), NAME(FILE_TOO_LARGE), NAME(ILLEGAL_BYTE_SEQUENCE), NAME(INVALID), NAME(IO), NAME(IS_DIRECTORY),
    NAME(LOOP), NAME(TOO_MANY_LINKS), NAME(NAME_TOO_LONG), NAME(NO_DEVICE), NAME(NO_ENTRY), NAME(NO_LOCK),
    NAME(INSUFFICIENT_MEMORY), NAME(INSUFFICIENT_SPACE), NAME(NOT_DIRECTORY), NAME(NOT_EMPTY), NAME(NOT_PERMITTED),
    NAME(OVERFLOW), NAME(READ_ONLY), NAME(INVALID_SEEK), NAME(TIMED_OUT), NAME(TEXT_FILE_BUSY), NAME(TOO_MANY_OPEN_FILES),
    NAME(UNSUPPORTED), NAME(WOULD_BLOCK), NAME(OTHER),
};

outcome_t take(request_t request, const char *path) {
    outcome_t outcome;
    aiohost_aio_types_error_t error;
    if (!aiohost_aio_types_method_request_wait(aiohost_aio_types_borrow_request(request), &outcome, &error)) {
        const char *name = names[error.code] ? names[error.code] : "a new error code";
        fprintf(stderr, "%s: %s, errno %u\n", path, name, (unsigned)error.errno);
        exit(1);
    }
    aiohost_aio_types_request_drop_own(request);
    return outcome;
}

void replace(const char *path, const char *temporary, char *text, size_t length) {
    submit_guest_string_t to, from;
    submit_guest_string_set(&to, path);
    submit_guest_string_set(&from, temporary);
    int flags = FLAG(WRITE) | FLAG(CREATE) | FLAG(TRUNCATE) | FLAG(NO_FOLLOW);
    /* With nothing to do meanwhile, a request is taken as soon as it is submitted. */
    file_t file = take(aiohost_aio_submit_open(NULL, &from, flags, 0666), temporary).val.file;
    while (length > 0) {
        submit_guest_list_u8_t piece = {(uint8_t *)text, length < WRITE_PIECE ? length : WRITE_PIECE};
        size_t written = take(aiohost_aio_submit_write(aiohost_aio_types_borrow_file(file), NULL, &piece), temporary).val.count;
        text += written, length -= written;
    }
    take(aiohost_aio_submit_fdatasync(aiohost_aio_types_borrow_file(file)), temporary);
    take(aiohost_aio_submit_close(file), temporary);
    take(aiohost_aio_submit_rename(NULL, &from, NULL, &to), path);
}

double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
