/* Short names for what wit-bindgen makes of the host's WIT in submit_guest.h, and what any guest needs. */
#pragma once
#include "submit_guest.h"

typedef aiohost_aio_types_own_request_t request_t;
typedef aiohost_aio_types_own_file_t file_t;
typedef aiohost_aio_types_outcome_t outcome_t;
#define FLAG(name) AIOHOST_AIO_TYPES_OPEN_FLAGS_##name
#define TYPE(name) AIOHOST_AIO_TYPES_FILE_TYPE_##name

/* Takes the outcome of a request, and waits for it if need be. If the request has failed, this tells on stderr which path it
 * was for and why, and ends the program with status 1. */
outcome_t take(request_t request, const char *path);

/* Writes a file under a temporary name and renames it, so that nobody ever sees half of it. */
void replace(const char *path, const char *temporary, char *text, size_t length);

/* The time of a clock that only ever goes forward. */
double seconds(void);
