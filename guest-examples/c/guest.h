/* What any guest needs: to give up with a message, to write a file, and a clock. */
#pragma once
#include "aio.h"

/* Takes the outcome of a request, and waits for it if need be. If the request has failed, this tells on stderr which path it
 * was for and why, and ends the program with status 1. */
aio_outcome take(aio_req request, const char *path);

/* Writes a file under a temporary name and renames it, so that nobody ever sees half of it. */
void replace(const char *path, const char *temporary, char *text, size_t length);

/* The time of a clock that only ever goes forward. */
double seconds(void);
