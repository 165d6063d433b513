/* Writes MANIFEST.sha256: the SHA-256 of every regular file below the working directory, as sha256sum writes it.
 * A function of `submit` returns a request at once: a handle of work that goes on in the host. wait_any waits until any of
 * the requests under way, of up to 64 files, is done, and tells which. These functions come from the host's WIT, by
 * wit-bindgen: aiohost_aio_submit_read is `read` of the interface aiohost:aio/submit, and so on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aio.h"
#include "sha256.h"
#include "sha256sum.h"

static const char MANIFEST[] = "MANIFEST.sha256", TEMPORARY[] = "MANIFEST.sha256.tmp";
enum { IN_FLIGHT = 64, PIECE = 128 * 1024 };

/* A path (the top's is empty), what its request does, the request and its number, and the file once it is open. */
static struct job {
    struct job *next;
    enum step { SCAN, STATUS, OPEN, READ } step;
    request_t request;
    uint64_t id;
    file_t file;
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
    submit_guest_string_t path;
    submit_guest_string_set(&path, *job->path ? job->path : ".");
    switch (job->step = step) {
    case SCAN: job->request = aiohost_aio_submit_scandir(NULL, &path, 0); break;
    case STATUS: job->request = aiohost_aio_submit_lstat(NULL, &path); break;
    case OPEN: job->request = aiohost_aio_submit_open(NULL, &path, FLAG(READ) | FLAG(NO_FOLLOW), 0); break;
    case READ: job->request = aiohost_aio_submit_read(aiohost_aio_types_borrow_file(job->file), NULL, PIECE);
    }
    job->id = aiohost_aio_types_method_request_id(aiohost_aio_types_borrow_request(job->request));
    return job;
}

/* Takes the outcome of a job's request and submits the next one, or returns NULL if the job is finished. */
static struct job *advance(struct job *job) {
    outcome_t got = take(job->request, *job->path ? job->path : ".");
    switch (job->step) {
    case SCAN:
        for (size_t i = 0; i < got.val.scan.directories.len; i++) add(job->path, &got.val.scan.directories.ptr[i], SCAN);
        for (size_t i = 0; i < got.val.scan.others.len; i++) add(job->path, &got.val.scan.others.ptr[i], STATUS);
        break;
    case STATUS:
        if (got.val.status.type != TYPE(REGULAR_FILE)) break; /* A symbolic link for instance is left out. */
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
            aiohost_aio_types_outcome_free(&got);
            return job;
        }
        aiohost_aio_types_file_drop_own(job->file);
        sha256sum_add(job->path, &job->hash);
    }
    aiohost_aio_types_outcome_free(&got);
    free(job);
    return NULL;
}

int main(void) {
    double start = seconds();
    add("", &(submit_guest_string_t){(uint8_t *)"", 0}, SCAN);
    for (submit_guest_list_u64_t done;;) {
        for (struct job **job = jobs; todo && job < jobs + IN_FLIGHT; job++) {
            if (*job) continue;
            *job = submit(todo, todo->step);
            todo = todo->next;
        }
        aiohost_aio_control_wait_any(&done);
        if (done.len == 0) break; /* There was nothing to wait for. */
        for (size_t i = 0; i < done.len; i++) {
            struct job **job = jobs;
            while (!*job || (*job)->id != done.ptr[i]) job++;
            *job = advance(*job);
        }
        submit_guest_list_u64_free(&done);
    }
    struct sha256sum sums = sha256sum_finish();
    replace(MANIFEST, TEMPORARY, sums.text, sums.length);
    printf("%zu files, %llu bytes, %.3f s\n", sums.files, sums.bytes, seconds() - start);
}
