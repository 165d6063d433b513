/* The requests of the host by their names in the manual of IO::AIO, over what wit-bindgen makes of the host's WIT.
 *
 * A function returns a request at once, and the work goes on in the host: aio_wait takes its result, aio_wait_any tells which
 * of many are done. wit/submit.wit says what each one does and how it fails.
 *
 *     aio_outcome outcome;
 *     aio_error error;
 *     if (aio_wait(aio_stat(NULL, "notes.txt"), &outcome, &error)) printf("%llu bytes\n", outcome.val.status.size);
 *     else fprintf(stderr, "notes.txt: %s\n", aio_strerror(error));
 *
 * `at` is the directory that a relative path starts from, and NULL the working directory: the first one that was granted. For C
 * and for C++; nothing in here is to be compiled on its own. */
#pragma once
#include <stddef.h>

#include "submit_guest.h"

typedef aiohost_aio_types_own_request_t aio_req;
typedef aiohost_aio_types_own_group_t aio_group;
typedef aiohost_aio_types_own_file_t aio_file;
typedef aiohost_aio_types_own_dir_t aio_dir;
typedef aiohost_aio_types_own_walker_t aio_walker;
typedef aiohost_aio_types_outcome_t aio_outcome;
typedef aiohost_aio_types_error_t aio_error;
typedef aiohost_aio_types_status_t aio_status;
typedef aiohost_aio_types_new_time_t aio_time;
typedef aiohost_aio_types_counters_t aio_counters;
typedef aiohost_aio_types_progress_t aio_progress;
typedef aiohost_aio_types_group_outcome_t aio_group_outcome;
typedef aiohost_aio_types_open_flags_t aio_open_flags;
typedef aiohost_aio_types_rename_flags_t aio_rename_flags;
typedef aiohost_aio_types_allocate_flags_t aio_allocate_flags;
typedef aiohost_aio_types_sync_range_flags_t aio_sync_range_flags;
typedef aiohost_aio_types_readdirx_flags_t aio_readdirx_flags;
typedef aiohost_aio_types_whence_t aio_whence;
typedef aiohost_aio_types_advice_t aio_advice;
typedef aiohost_aio_types_lock_kind_t aio_lock_kind;
typedef submit_guest_list_u64_t aio_ids;

/* AIO_OPEN(READ) | AIO_OPEN(NO_FOLLOW), AIO_TYPE(REGULAR_FILE), AIO_ERROR(NO_ENTRY): the words of wit/types.wit. */
#define AIO_OPEN(flag) AIOHOST_AIO_TYPES_OPEN_FLAGS_##flag
#define AIO_TYPE(type) AIOHOST_AIO_TYPES_FILE_TYPE_##type
#define AIO_ERROR(code) AIOHOST_AIO_TYPES_ERROR_CODE_##code

enum { AIO_POSITION = -1 };

/* What an argument becomes for the generated functions. They copy nothing and keep nothing. */
typedef aiohost_aio_types_borrow_dir_t aio_at_t;
static inline aio_at_t *aio_at_(aio_at_t *place, const aio_dir *at) {
    if (!at) return NULL;
    *place = aiohost_aio_types_borrow_dir(*at);
    return place;
}
static inline submit_guest_string_t aio_text_(const char *text) {
    submit_guest_string_t string;
    submit_guest_string_set(&string, text);
    return string;
}

/* Requests that name an object by its path. */
static inline aio_req aio_open(const aio_dir *at, const char *path, aio_open_flags flags, uint16_t mode) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_open(aio_at_(&at_, at), &path_, flags, mode);
}
static inline aio_req aio_wd(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_open_dir(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_load(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_load(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_slurp(const aio_dir *at, const char *path, int64_t offset, int64_t length) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path); uint32_t length_ = (uint32_t)length;
    return aiohost_aio_submit_slurp(aio_at_(&at_, at), &path_, offset, length < 0 ? NULL : &length_);
}
static inline aio_req aio_store(const aio_dir *at, const char *path, const void *data, size_t data_length, uint16_t mode) {
    aio_at_t at_;
    submit_guest_string_t path_ = aio_text_(path);
    submit_guest_list_u8_t data_ = {(uint8_t *)data, data_length};
    return aiohost_aio_submit_store(aio_at_(&at_, at), &path_, &data_, mode);
}
static inline aio_req aio_copy(const aio_dir *at, const char *path, const aio_dir *to_at, const char *to_path) {
    aio_at_t at_, to_at_;
    submit_guest_string_t path_ = aio_text_(path);
    submit_guest_string_t to_path_ = aio_text_(to_path);
    return aiohost_aio_submit_copy(aio_at_(&at_, at), &path_, aio_at_(&to_at_, to_at), &to_path_);
}
static inline aio_req aio_move(const aio_dir *at, const char *path, const aio_dir *to_at, const char *to_path) {
    aio_at_t at_, to_at_;
    submit_guest_string_t path_ = aio_text_(path);
    submit_guest_string_t to_path_ = aio_text_(to_path);
    return aiohost_aio_submit_move(aio_at_(&at_, at), &path_, aio_at_(&to_at_, to_at), &to_path_);
}
static inline aio_req aio_stat(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_stat(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_lstat(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_lstat(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_statvfs(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_statvfs(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_utime(const aio_dir *at, const char *path, aio_time accessed, aio_time modified) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_utime(aio_at_(&at_, at), &path_, &accessed, &modified);
}
static inline aio_req aio_chmod(const aio_dir *at, const char *path, uint16_t mode) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_chmod(aio_at_(&at_, at), &path_, mode);
}
static inline aio_req aio_truncate(const aio_dir *at, const char *path, uint64_t length) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_truncate(aio_at_(&at_, at), &path_, length);
}
static inline aio_req aio_unlink(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_unlink(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_rmdir(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_rmdir(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_mkdir(const aio_dir *at, const char *path, uint16_t mode) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_mkdir(aio_at_(&at_, at), &path_, mode);
}
static inline aio_req aio_rename(const aio_dir *old_at, const char *old_path, const aio_dir *new_at, const char *new_path) {
    aio_at_t old_at_, new_at_;
    submit_guest_string_t old_path_ = aio_text_(old_path);
    submit_guest_string_t new_path_ = aio_text_(new_path);
    return aiohost_aio_submit_rename(aio_at_(&old_at_, old_at), &old_path_, aio_at_(&new_at_, new_at), &new_path_);
}
static inline aio_req aio_rename2(const aio_dir *old_at, const char *old_path, const aio_dir *new_at,
        const char *new_path, aio_rename_flags flags) {
    aio_at_t old_at_, new_at_;
    submit_guest_string_t old_path_ = aio_text_(old_path);
    submit_guest_string_t new_path_ = aio_text_(new_path);
    return aiohost_aio_submit_rename2(aio_at_(&old_at_, old_at), &old_path_, aio_at_(&new_at_, new_at), &new_path_, flags);
}
static inline aio_req aio_link(const aio_dir *old_at, const char *old_path, const aio_dir *new_at, const char *new_path) {
    aio_at_t old_at_, new_at_;
    submit_guest_string_t old_path_ = aio_text_(old_path);
    submit_guest_string_t new_path_ = aio_text_(new_path);
    return aiohost_aio_submit_link(aio_at_(&old_at_, old_at), &old_path_, aio_at_(&new_at_, new_at), &new_path_);
}
static inline aio_req aio_symlink(const char *target, const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t target_ = aio_text_(target); submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_symlink(&target_, aio_at_(&at_, at), &path_);
}
static inline aio_req aio_readlink(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_readlink(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_realpath(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_realpath(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_mkfifo(const aio_dir *at, const char *path, uint16_t mode) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_mkfifo(aio_at_(&at_, at), &path_, mode);
}
static inline aio_req aio_pathsync(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_pathsync(aio_at_(&at_, at), &path_);
}

/* Requests on an open file. `offset` is AIO_POSITION for the file's own position, which then moves on. */
static inline aio_req aio_close(aio_file file) { return aiohost_aio_submit_close(file); }
static inline aio_req aio_seek(aio_file file, int64_t offset, aio_whence from) {
    return aiohost_aio_submit_seek(aiohost_aio_types_borrow_file(file), offset, from);
}
static inline aio_req aio_read(aio_file file, int64_t offset, uint32_t length) {
    uint64_t offset_ = (uint64_t)offset;
    return aiohost_aio_submit_read(aiohost_aio_types_borrow_file(file), offset < 0 ? NULL : &offset_, length);
}
static inline aio_req aio_write(aio_file file, int64_t offset, const void *data, size_t data_length) {
    uint64_t offset_ = (uint64_t)offset; submit_guest_list_u8_t data_ = {(uint8_t *)data, data_length};
    return aiohost_aio_submit_write(aiohost_aio_types_borrow_file(file), offset < 0 ? NULL : &offset_, &data_);
}
static inline aio_req aio_sendfile(aio_file output, int64_t output_offset, aio_file input, uint64_t input_offset,
        uint64_t length) {
    uint64_t output_offset_ = (uint64_t)output_offset;
        return aiohost_aio_submit_sendfile(aiohost_aio_types_borrow_file(output), output_offset < 0 ? NULL :
        &output_offset_, aiohost_aio_types_borrow_file(input), input_offset, length);
}
static inline aio_req aio_readahead(aio_file file, uint64_t offset, uint64_t length) {
    return aiohost_aio_submit_readahead(aiohost_aio_types_borrow_file(file), offset, length);
}
static inline aio_req aio_fstat(aio_file file) { return aiohost_aio_submit_fstat(aiohost_aio_types_borrow_file(file)); }
static inline aio_req aio_futime(aio_file file, aio_time accessed, aio_time modified) {
    return aiohost_aio_submit_futime(aiohost_aio_types_borrow_file(file), &accessed, &modified);
}
static inline aio_req aio_fchmod(aio_file file, uint16_t mode) {
    return aiohost_aio_submit_fchmod(aiohost_aio_types_borrow_file(file), mode);
}
static inline aio_req aio_ftruncate(aio_file file, uint64_t length) {
    return aiohost_aio_submit_ftruncate(aiohost_aio_types_borrow_file(file), length);
}
static inline aio_req aio_allocate(aio_file file, aio_allocate_flags flags, uint64_t offset, uint64_t length) {
    return aiohost_aio_submit_allocate(aiohost_aio_types_borrow_file(file), flags, offset, length);
}
static inline aio_req aio_fadvise(aio_file file, uint64_t offset, uint64_t length, aio_advice advice) {
    return aiohost_aio_submit_advise(aiohost_aio_types_borrow_file(file), offset, length, advice);
}
static inline aio_req aio_extents(aio_file file, uint64_t offset, int64_t length) {
    uint64_t length_ = (uint64_t)length;
    return aiohost_aio_submit_extents(aiohost_aio_types_borrow_file(file), offset, length < 0 ? NULL : &length_);
}
static inline aio_req aio_lock(aio_file file, aio_lock_kind kind, uint64_t offset, uint64_t length, bool wait) {
    return aiohost_aio_submit_lock(aiohost_aio_types_borrow_file(file), kind, offset, length, wait);
}
static inline aio_req aio_unlock(aio_file file, uint64_t offset, uint64_t length) {
    return aiohost_aio_submit_unlock(aiohost_aio_types_borrow_file(file), offset, length);
}
static inline aio_req aio_clone_range(aio_file output, uint64_t output_offset, aio_file input, uint64_t input_offset,
        uint64_t length) {
        return aiohost_aio_submit_clone_range(aiohost_aio_types_borrow_file(output), output_offset,
        aiohost_aio_types_borrow_file(input), input_offset, length);
}
static inline aio_req aio_fsync(aio_file file) { return aiohost_aio_submit_fsync(aiohost_aio_types_borrow_file(file)); }
static inline aio_req aio_fdatasync(aio_file file) {
    return aiohost_aio_submit_fdatasync(aiohost_aio_types_borrow_file(file));
}
static inline aio_req aio_sync_file_range(aio_file file, uint64_t offset, uint64_t length, aio_sync_range_flags flags) {
    return aiohost_aio_submit_sync_file_range(aiohost_aio_types_borrow_file(file), offset, length, flags);
}
static inline aio_req aio_syncfs(aio_file file) { return aiohost_aio_submit_syncfs(aiohost_aio_types_borrow_file(file)); }

/* Requests on whole directories. `maxreq` is usually 0. */
static inline aio_req aio_readdir(const aio_dir *at, const char *path) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_readdir(aio_at_(&at_, at), &path_);
}
static inline aio_req aio_scandir(const aio_dir *at, const char *path, uint32_t maxreq) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_scandir(aio_at_(&at_, at), &path_, maxreq);
}
static inline aio_req aio_readdirx(const aio_dir *at, const char *path, aio_readdirx_flags flags) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_readdirx(aio_at_(&at_, at), &path_, flags);
}
static inline aio_req aio_walk(const aio_dir *at, const char *path, uint32_t max_depth, uint32_t maxreq) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_walk(aio_at_(&at_, at), &path_, max_depth, maxreq);
}
static inline aio_req aio_walk_next(aio_walker walker, uint32_t max) {
    return aiohost_aio_submit_walk_next(aiohost_aio_types_borrow_walker(walker), max);
}
static inline aio_req aio_rmtree(const aio_dir *at, const char *path, uint32_t maxreq) {
    aio_at_t at_; submit_guest_string_t path_ = aio_text_(path);
    return aiohost_aio_submit_rmtree(aio_at_(&at_, at), &path_, maxreq);
}
static inline aio_req aio_copy_tree(const aio_dir *at, const char *path, const aio_dir *to_at, const char *to_path,
        uint32_t maxreq) {
    aio_at_t at_, to_at_;
    submit_guest_string_t path_ = aio_text_(path);
    submit_guest_string_t to_path_ = aio_text_(to_path);
    return aiohost_aio_submit_copy_tree(aio_at_(&at_, at), &path_, aio_at_(&to_at_, to_at), &to_path_, maxreq);
}

/* For measuring, and for testing. */
static inline aio_req aio_nop(void) { return aiohost_aio_submit_nop(); }
static inline aio_req aio_busy(uint64_t time_ms) { return aiohost_aio_submit_busy(time_ms); }

/* Waits until a request is done, takes its result, and ends the handle. False if the request has failed. What is in the outcome
 * belongs to the guest: lists are freed, and handles in it closed, by aio_outcome_free. */
static inline bool aio_wait(aio_req request, aio_outcome *outcome, aio_error *error) {
    bool is_done = aiohost_aio_types_method_request_wait(aiohost_aio_types_borrow_request(request), outcome, error);
    aiohost_aio_types_request_drop_own(request);
    return is_done;
}
static inline void aio_outcome_free(aio_outcome *outcome) { aiohost_aio_types_outcome_free(outcome); }
static inline void aio_req_drop(aio_req request) { aiohost_aio_types_request_drop_own(request); }
static inline void aio_file_drop(aio_file file) { aiohost_aio_types_file_drop_own(file); }
static inline void aio_dir_drop(aio_dir dir) { aiohost_aio_types_dir_drop_own(dir); }
static inline void aio_walker_drop(aio_walker walker) { aiohost_aio_types_walker_drop_own(walker); }

/* The number of a request, as aio_wait_any gives it. */
static inline uint64_t aio_id(aio_req request) {
    return aiohost_aio_types_method_request_id(aiohost_aio_types_borrow_request(request));
}
static inline void aio_cancel(aio_req request) {
    aiohost_aio_types_method_request_cancel(aiohost_aio_types_borrow_request(request));
}
static inline aio_progress aio_progress_of(aio_req request) {
    aio_progress progress;
    aiohost_aio_types_method_request_progress(aiohost_aio_types_borrow_request(request), &progress);
    return progress;
}

/* The numbers of the requests that are done, once each: after waiting for one at least, or without waiting. None means, after
 * waiting, that there is none to wait for. */
static inline aio_ids aio_wait_any(void) {
    aio_ids ids;
    aiohost_aio_control_wait_any(&ids);
    return ids;
}
/* The same, for some milliseconds at most: none means, too, that none was done until then. */
static inline aio_ids aio_wait_any_for(uint64_t time_ms) {
    aio_ids ids;
    aiohost_aio_control_wait_any_for(time_ms, &ids);
    return ids;
}
static inline aio_ids aio_poll(void) {
    aio_ids ids;
    aiohost_aio_control_poll(&ids);
    return ids;
}
static inline void aio_ids_free(aio_ids *ids) { submit_guest_list_u64_free(ids); }
static inline void aio_flush(void) { aiohost_aio_control_flush(); }
static inline aio_counters aio_count(void) {
    aio_counters counters;
    aiohost_aio_control_count(&counters);
    return counters;
}
static inline uint64_t aio_nreqs(void) {
    aio_counters counters = aio_count();
    return counters.queued + counters.running;
}

/* The priority of the next request, from -4 to 4; both return the one that was set before. */
static inline int aioreq_pri(int priority) { return aiohost_aio_control_set_priority((int8_t)priority); }
static inline int aioreq_nice(int amount) { return aiohost_aio_control_nice((int8_t)amount); }

/* A group: to wait for its members, to bound and to cancel them. */
static inline aiohost_aio_types_borrow_group_t aio_group_(aio_group group) { return aiohost_aio_types_borrow_group(group); }
static inline aio_group aio_group_new(void) { return aiohost_aio_types_constructor_group(); }
static inline void aio_group_drop(aio_group group) { aiohost_aio_types_group_drop_own(group); }
static inline bool aio_group_add(aio_group group, aio_req request, aio_error *error) {
    return aiohost_aio_types_method_group_add(aio_group_(group), aiohost_aio_types_borrow_request(request), error);
}
static inline bool aio_group_add_group(aio_group group, aio_group member, aio_error *error) {
    return aiohost_aio_types_method_group_add_group(aio_group_(group), aio_group_(member), error);
}
static inline void aio_group_limit(aio_group group, uint32_t limit) {
    aiohost_aio_types_method_group_set_limit(aio_group_(group), limit);
}
static inline void aio_group_pri(aio_group group, int priority) {
    aiohost_aio_types_method_group_set_priority(aio_group_(group), (int8_t)priority);
}
static inline void aio_group_deadline(aio_group group, uint64_t *from_now_ms) {
    aiohost_aio_types_method_group_set_deadline(aio_group_(group), from_now_ms);
}
static inline bool aio_group_wait(aio_group group, aio_group_outcome *outcome, aio_error *error) {
    return aiohost_aio_types_method_group_wait(aio_group_(group), outcome, error);
}
static inline uint32_t aio_group_wait_below(aio_group group, uint32_t members) {
    return aiohost_aio_types_method_group_wait_below(aio_group_(group), members);
}
static inline void aio_group_cancel(aio_group group) { aiohost_aio_types_method_group_cancel(aio_group_(group)); }
static inline void aio_group_cancel_subs(aio_group group) { aiohost_aio_types_method_group_cancel_subs(aio_group_(group)); }
static inline aio_counters aio_group_count(aio_group group) {
    aio_counters counters;
    aiohost_aio_types_method_group_count(aio_group_(group), &counters);
    return counters;
}

/* How the next request is carried out. NULL for what is not to be set; with `or_fail`, it fails where as much is in flight as
 * may be. */
static inline void aio_next(int8_t *priority, uint64_t *deadline_ms, const aio_group *group, bool or_fail) {
    aiohost_aio_types_borrow_group_t place;
    if (group) place = aio_group_(*group);
    aiohost_aio_control_next(priority, deadline_ms, group ? &place : NULL,
        or_fail ? AIOHOST_AIO_CONTROL_WHEN_FULL_FAIL : AIOHOST_AIO_CONTROL_WHEN_FULL_WAIT);
}

/* The name of an error code. */
static inline const char *aio_strerror(aio_error error) {
    static const char *const names[] = {
        "access", "already", "bad descriptor", "busy", "canceled", "cross device", "deadlock", "quota", "exist",
        "file too large", "illegal byte sequence", "invalid", "io", "is directory", "loop", "too many links",
        "name too long", "no device", "no entry", "no lock", "insufficient memory", "insufficient space", "not directory",
        "not empty", "not permitted", "overflow", "read only", "invalid seek", "timed out", "text file busy",
        "too many open files", "unsupported", "would block", "other",
    };
    return error.code < sizeof names / sizeof *names ? names[error.code] : "a new error code";
}
