/* Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.
 * A function of aio.h returns a request at once: a handle of work that goes on in the host. aio_wait_any waits until any of
 * the requests under way, of up to 64 files, is done, and tells which. The names are those of the manual of IO::AIO. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "sha256.h"
#include "sha256sum.h"

static const char MANIFEST[] = "MANIFEST.sha256", TEMPORARY[] = "MANIFEST.sha256.tmp";
enum { IN_FLIGHT = 64, PIECE = 128 * 1024 };

/* A path (the top's is empty), what its request does, the request and its number, and the file once it is open. */
static struct job {
    struct job *next;
    enum step { SCAN, STATUS, OPEN, READ } step;
    aio_req request;
    uint64_t id;
    aio_file file;
    struct sha256 hash;
    char path[];
} *todo, *jobs[IN_FLIGHT];

static void add(const char *directory, const submit_guest_string_t *name, enum step step) {
    struct job *job = malloc(sizeof *job + strlen(directory) + 1 + name->len + 1);
    if (!job) abort();
    sprintf(job->path, "%s%s%.*s", directory, *directory ? "/" : "", (int)name->len, (char *)name->ptr);
    job->step = step, job->next = todo, todo = job;
}

static struct job *submit(struct job *job, enum step step) {
    const char *path = *job->path ? job->path : ".";
    switch (job->step = step) {
    case SCAN: job->request = aio_scandir(NULL, path, 0); break;
    case STATUS: job->request = aio_lstat(NULL, path); break;
    case OPEN: job->request = aio_open(NULL, path, AIO_OPEN(READ) | AIO_OPEN(NO_FOLLOW), 0); break;
    case READ: job->request = aio_read(job->file, AIO_POSITION, PIECE);
    }
    job->id = aio_id(job->request);
    return job;
}

/* Takes the outcome of a job's request and submits the next one, or returns NULL if the job is finished. */
static struct job *advance(struct job *job) {
    aio_outcome got = take(job->request, *job->path ? job->path : ".");
    switch (job->step) {
    case SCAN:
        for (size_t i = 0; i < got.val.scan.directories.len; i++) add(job->path, &got.val.scan.directories.ptr[i], SCAN);
        for (size_t i = 0; i < got.val.scan.others.len; i++) add(job->path, &got.val.scan.others.ptr[i], STATUS);
        break;
    case STATUS:
        if (got.val.status.type != AIO_TYPE(REGULAR_FILE)) break; /* A symbolic link for instance is left out. */
        if (strcmp(job->path, MANIFEST) && strcmp(job->path, TEMPORARY)) return submit(job, OPEN);
        break;
    case OPEN:
        job->file = got.val.file;
        sha256_start(&job->hash);
        return submit(job, READ);
    case READ:
        if (got.val.data.len > 0) {
            submit(job, READ); /* The host reads the next piece while this one is hashed. */
            sha256_add(&job->hash, got.val.data.ptr, got.val.data.len);
            aio_outcome_free(&got);
            return job;
        }
        aio_file_drop(job->file);
        sha256sum_add(job->path, &job->hash);
    }
    aio_outcome_free(&got);
    free(job);
    return NULL;
}

int main(void) {
    double start = seconds();
    add("", &(submit_guest_string_t){(uint8_t *)"", 0}, SCAN);
    for (;;) {
        for (struct job **job = jobs; todo && job < jobs + IN_FLIGHT; job++) {
            if (*job) continue;
            *job = submit(todo, todo->step);
            todo = todo->next;
        }
        aio_ids done = aio_wait_any();
        if (done.len == 0) break; /* There was nothing to wait for. */
        for (size_t i = 0; i < done.len; i++) {
            struct job **job = jobs;
            while (!*job || (*job)->id != done.ptr[i]) job++;
            *job = advance(*job);
        }
        aio_ids_free(&done);
    }
    struct sha256sum sums = sha256sum_finish();
    replace(MANIFEST, TEMPORARY, sums.text, sums.length);
    printf("%zu files, %llu bytes, %.3f s\n", sums.files, sums.bytes, seconds() - start);
}
