// Calls that the C library never makes, or not in this way.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define CHECK(what) \
  if (!(what)) printf("line %d: %s\n", __LINE__, #what), exit(1)

static const __wasi_fd_t DIR = 3;
static const __wasi_timestamp_t HOUR = 3600000000000;

static __wasi_errno_t open_as(const char *name, __wasi_oflags_t oflags, __wasi_fdflags_t fdflags, __wasi_fd_t *fd) {
  __wasi_rights_t rights = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK;
  return __wasi_path_open(DIR, 0, name, oflags, rights, 0, fdflags, fd);
}

static __wasi_subscription_t after(__wasi_userdata_t name, __wasi_timestamp_t time, __wasi_clockid_t id, int flags) {
  __wasi_subscription_t wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.userdata = name;
  wanted.u.tag = __WASI_EVENTTYPE_CLOCK;
  wanted.u.u.clock.id = id;
  wanted.u.u.clock.timeout = time;
  wanted.u.u.clock.flags = flags;
  return wanted;
}

static __wasi_subscription_t when(__wasi_userdata_t name, __wasi_eventtype_t type, __wasi_fd_t fd) {
  __wasi_subscription_t wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.userdata = name;
  wanted.u.tag = type;
  wanted.u.u.fd_read.file_descriptor = fd;
  return wanted;
}

// What is ready stands in the order in which it was asked for; its names are the digits of the result.
static unsigned ready(const __wasi_subscription_t *wanted, size_t count) {
  __wasi_event_t events[4];
  __wasi_size_t come = 0;
  CHECK(__wasi_poll_oneoff(wanted, events, count, &come) == __WASI_ERRNO_SUCCESS);
  unsigned names = 0;
  for (size_t number = 0; number < come; number++) names = names * 10 + (unsigned)events[number].userdata;
  return names;
}

// A file is always ready. That is no reason to keep silent about the rest.
static void polls(__wasi_fd_t file) {
  __wasi_subscription_t now = after(1, 0, __WASI_CLOCKID_MONOTONIC, 0), later = after(2, HOUR, __WASI_CLOCKID_MONOTONIC, 0);
  __wasi_subscription_t read = when(3, __WASI_EVENTTYPE_FD_READ, file), write = when(4, __WASI_EVENTTYPE_FD_WRITE, file);
  __wasi_subscription_t bad = when(5, __WASI_EVENTTYPE_FD_READ, 999);
  CHECK(ready((__wasi_subscription_t[]){read, now}, 2) == 31);
  CHECK(ready((__wasi_subscription_t[]){now, later, write, read}, 4) == 143);
  CHECK(ready((__wasi_subscription_t[]){now, bad}, 2) == 15);
  CHECK(ready((__wasi_subscription_t[]){later, read}, 2) == 3);
  CHECK(ready((__wasi_subscription_t[]){later, now}, 2) == 1);
  CHECK(ready((__wasi_subscription_t[]){bad}, 1) == 5);

  __wasi_event_t event;
  __wasi_size_t come;
  for (int flags = 0; flags < 2; flags++) {
    __wasi_subscription_t unknown = after(1, 0, 9, flags);
    CHECK(__wasi_poll_oneoff(&unknown, &event, 1, &come) == __WASI_ERRNO_INVAL);
  }
}

// A transfer of nothing, where there is something behind, is taken for the end of the file.
static void many_empty_pieces(__wasi_fd_t file) {
  static __wasi_ciovec_t from[70000];
  static __wasi_iovec_t to[70000];
  static uint8_t place[8];
  __wasi_size_t moved = 0;
  size_t counts[] = {1, 2, 1024, 1025, 4000};
  for (size_t number = 0; number < 5; number++) {
    size_t count = counts[number];
    from[count - 1] = (__wasi_ciovec_t){(const uint8_t *)"12345", 5};
    to[count - 1] = (__wasi_iovec_t){place, 5};
    CHECK(__wasi_fd_pwrite(file, from, count, 0, &moved) == __WASI_ERRNO_SUCCESS && moved == 5);
    memset(place, 0, sizeof place);
    CHECK(__wasi_fd_pread(file, to, count, 0, &moved) == __WASI_ERRNO_SUCCESS && moved == 5);
    CHECK(memcmp(place, "12345", 5) == 0);
    from[count - 1].buf_len = to[count - 1].buf_len = 0;
  }
  to[69999] = (__wasi_iovec_t){place, 5};
  CHECK(__wasi_fd_pread(file, to, 70000, 0, &moved) == __WASI_ERRNO_INVAL);
  CHECK(__wasi_fd_pread(file, to, 69999, 0, &moved) == __WASI_ERRNO_INVAL);
  CHECK(__wasi_fd_pread(file, to, 60000, 0, &moved) == __WASI_ERRNO_SUCCESS && moved == 0);
}

static void unknown_flags(void) {
  __wasi_fd_t fd;
  for (unsigned flag = 1; flag < 1 << 16; flag <<= 1) {
    __wasi_errno_t expected = flag < 1 << 5 ? __WASI_ERRNO_SUCCESS : __WASI_ERRNO_INVAL;
    CHECK(open_as("odd", 0, (__wasi_fdflags_t)flag, &fd) == expected);
    if (expected == __WASI_ERRNO_SUCCESS) CHECK(__wasi_fd_close(fd) == __WASI_ERRNO_SUCCESS);
  }
}

int main(void) {
  __wasi_fd_t file;
  CHECK(open_as("odd", __WASI_OFLAGS_CREAT, 0, &file) == __WASI_ERRNO_SUCCESS);
  polls(file);
  many_empty_pieces(file);
  unknown_flags();
  return 0;
}
