// Carries out a random plan of calls of WASI preview 1 on the directory that is descriptor 3, and says what each came to.
//
// Arguments: a seed, and a number of steps. The same ones are the same plan. There is no libc here: what is called is exactly what
// stands here.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) extern u32 name
struct iovec { void *at; u32 length; };
WASI(args_get)(char **list, char *buffer);
WASI(args_sizes_get)(u32 *count, u32 *bytes);
WASI(fd_advise)(u32 fd, u64 offset, u64 length, u32 advice);
WASI(fd_close)(u32 fd);
WASI(fd_datasync)(u32 fd);
WASI(fd_fdstat_get)(u32 fd, void *stat);
WASI(fd_fdstat_set_flags)(u32 fd, u32 flags);
WASI(fd_filestat_get)(u32 fd, void *stat);
WASI(fd_filestat_set_size)(u32 fd, u64 size);
WASI(fd_filestat_set_times)(u32 fd, u64 accessed, u64 modified, u32 which);
WASI(fd_pread)(u32 fd, struct iovec *list, u32 count, u64 offset, u32 *done);
WASI(fd_pwrite)(u32 fd, struct iovec *list, u32 count, u64 offset, u32 *done);
WASI(fd_read)(u32 fd, struct iovec *list, u32 count, u32 *done);
WASI(fd_readdir)(u32 fd, void *buffer, u32 room, u64 cookie, u32 *used);
WASI(fd_renumber)(u32 from, u32 to);
WASI(fd_seek)(u32 fd, s64 offset, u32 whence, u64 *position);
WASI(fd_sync)(u32 fd);
WASI(fd_tell)(u32 fd, u64 *position);
WASI(fd_write)(u32 fd, struct iovec *list, u32 count, u32 *done);
WASI(path_create_directory)(u32 fd, const char *path, u32 length);
WASI(path_filestat_get)(u32 fd, u32 lookup, const char *path, u32 length, void *stat);
WASI(path_filestat_set_times)(u32 fd, u32 lookup, const char *path, u32 length, u64 accessed, u64 modified, u32 which);
WASI(path_link)(u32 fd, u32 lookup, const char *path, u32 length, u32 to, const char *new_path, u32 new_length);
WASI(path_open)
(u32 fd, u32 lookup, const char *path, u32 length, u32 oflags, u64 rights, u64 inheriting, u32 fdflags, u32 *opened);
WASI(path_readlink)(u32 fd, const char *path, u32 length, void *buffer, u32 room, u32 *used);
WASI(path_remove_directory)(u32 fd, const char *path, u32 length);
WASI(path_rename)(u32 fd, const char *path, u32 length, u32 to, const char *new_path, u32 new_length);
WASI(path_symlink)(const char *target, u32 target_length, u32 fd, const char *path, u32 length);
WASI(path_unlink_file)(u32 fd, const char *path, u32 length);

// What is said.

static char out[1 << 16];
static u32 used;

static void flush(void) {
  for (u32 at = 0; at < used;) {
    u32 done = 0;
    struct iovec list = {out + at, used - at};
    if (fd_write(1, &list, 1, &done) || !done) __builtin_trap();
    at += done;
  }
  used = 0;
}

static void say_byte(char c) {
  if (used == sizeof out) flush();
  out[used++] = c;
}

static void say(const char *text) {
  while (*text) say_byte(*text++);
}

static void say_number(u64 number) {
  char digits[20];
  u32 count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  say_byte(' ');
  while (count) say_byte(digits[--count]);
}

static u64 hash(const u8 *bytes, u32 count) {
  u64 value = 0xcbf29ce484222325;
  for (u32 i = 0; i < count; i++) value = (value ^ bytes[i]) * 0x100000001b3;
  return value >> 40;
}

// What is drawn.

static u64 state;

static u32 draw(u32 below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (u32)(state >> 16) % below;
}

static u32 length_of(const char *text) {
  u32 length = 0;
  while (text[length]) length++;
  return length;
}

static const char *const PATHS[] = {
    "a", "b", "c", "d", "e", "d/a", "d/b", "d/e", "e/a", "e/d", "e/d/a", "l", "m", "d/l", "a", "b", "d", "e", ".", "..", "../a",
    "/a", "", "a/", "d/", "d/.", "d/..", "d/../a", "./b", "d//a", "l/a", "l/", "none/a", "a/b", "d/../../a",
};
#define PATH_COUNT (sizeof PATHS / sizeof *PATHS)

static const char *draw_path(void) { return PATHS[draw(PATH_COUNT)]; }

static void say_path(const char *path) {
  say(" '");
  say(path);
  say_byte('\'');
}

// Descriptors that the plan has opened, and the one that it began with.

static u32 fds[12] = {3};
static u32 fd_count = 1;

static u32 draw_fd(void) { return draw(40) ? fds[draw(fd_count)] : draw(3) * 400 + 1; }
static u32 draw_dir(void) { return draw(3) ? 3 : draw_fd(); }

// Which number a descriptor has is the host's affair.
static void say_fd(u32 fd) {
  u32 place = 0;
  while (place < fd_count && fds[place] != fd) place++;
  say_number(place < fd_count ? place : 1000 + fd);
}

static u8 buffer[8192];

static void said(u32 errno) {
  say(" =");
  say_number(errno);
}

static void say_status(u32 errno, const u8 *stat) {
  said(errno);
  if (errno) return;
  u8 kind = stat[16];
  say_number(kind);
  // How large a directory is, and how many links it has, is the file system's own affair.
  if (kind == 4) {
    say_number(*(u64 *)(stat + 24));
    say_number(*(u64 *)(stat + 32));
  }
}

static void step_open(void) {
  u32 dir = draw_dir(), lookup = draw(2), fdflags = draw(4) ? 0 : 1, opened = 0;
  u32 oflags = (draw(2) ? 1 : 0) | (draw(5) ? 0 : 2) | (draw(8) ? 0 : 4) | (draw(6) ? 0 : 8);
  u64 rights = (u64)(draw(4) ? 2 : 0) | (u64)(draw(2) ? 64 : 0);
  const char *path = draw_path();
  // Which of several wrong flags is told of first is each host's own.
  if (oflags & 2) oflags = 2;
  // wasmtime-wasi lets a file be written that was made or emptied, whatever it was opened for.
  if (oflags & 9) rights |= 64;
  u32 errno = path_open(dir, lookup, path, length_of(path), oflags, rights, (1u << 30) - 1, fdflags, &opened);
  say("path_open");
  say_fd(dir);
  say_path(path);
  say_number(lookup);
  say_number(oflags);
  say_number(rights);
  say_number(fdflags);
  said(errno);
  if (errno) return;
  fds[fd_count++] = opened;
}

static void step_close(void) {
  if (fd_count < 2) return;
  u32 place = 1 + draw(fd_count - 1), fd = fds[place];
  say("fd_close");
  say_fd(fd);
  fds[place] = fds[--fd_count];
  said(fd_close(fd));
}

static void step_transfer(void) {
  u32 fd = draw_fd(), which = draw(4), first = draw(3000), done = 0;
  if (fd < 3) return;
  u64 offset = draw(9000);
  struct iovec list = {buffer, first};
  for (u32 i = 0; i < first; i++) buffer[i] = which & 1 ? (u8)draw(256) : 0;
  u32 errno = which == 0   ? fd_read(fd, &list, 1, &done)
              : which == 1 ? fd_write(fd, &list, 1, &done)
              : which == 2 ? fd_pread(fd, &list, 1, offset, &done)
                           : fd_pwrite(fd, &list, 1, offset, &done);
  const char *const names[] = {"fd_read", "fd_write", "fd_pread", "fd_pwrite"};
  say(names[which]);
  say_fd(fd);
  say_number(first);
  said(errno);
  if (errno) return;
  say_number(done);
  if (!(which & 1)) say_number(hash(buffer, done));
}

static void step_seek(void) {
  u32 fd = draw_fd(), whence = draw(3);
  s64 offset = (s64)draw(6000) - (whence ? 3000 : 0);
  u64 position = 0;
  u32 errno = draw(3) ? fd_seek(fd, offset, whence, &position) : fd_tell(fd, &position);
  say("fd_seek");
  say_fd(fd);
  say_number(whence);
  said(errno);
  if (!errno) say_number(position);
}

static void step_fdstat(void) {
  u32 fd = draw_fd();
  if (draw(2)) {
    u32 flags = draw(3) ? draw(2) : 1u << draw(5);
    say("fd_fdstat_set_flags");
    say_fd(fd);
    say_number(flags);
    said(fd_fdstat_set_flags(fd, flags));
    return;
  }
  u8 stat[24];
  u32 errno = fd_fdstat_get(fd, stat);
  say("fd_fdstat_get");
  say_fd(fd);
  said(errno);
  if (errno) return;
  say_number(stat[0]);
  say_number(*(u16 *)(stat + 2));
  // What a file was opened for.
  if (stat[0] == 4) say_number(*(u64 *)(stat + 8) & 66);
}

static void step_status(void) {
  u8 stat[64];
  if (draw(2)) {
    u32 fd = draw_fd();
    say("fd_filestat_get");
    say_fd(fd);
    say_status(fd_filestat_get(fd, stat), stat);
    return;
  }
  u32 dir = draw_dir(), lookup = draw(2);
  const char *path = draw_path();
  say("path_filestat_get");
  say_fd(dir);
  say_number(lookup);
  say_path(path);
  say_status(path_filestat_get(dir, lookup, path, length_of(path), stat), stat);
}

static void step_size(void) {
  u32 fd = draw_fd();
  u64 size = draw(9000);
  say("fd_filestat_set_size");
  say_fd(fd);
  said(fd_filestat_set_size(fd, size));
}

static void step_times(void) {
  u8 stat[64];
  u64 accessed = draw(1000000) * 1000003ull, modified = draw(1000000) * 1000007ull;
  u32 which = draw(5) ? 5 : draw(16);
  if (draw(2)) {
    u32 fd = draw_fd();
    u32 errno = fd_filestat_set_times(fd, accessed, modified, which);
    say("fd_filestat_set_times");
    say_fd(fd);
    say_number(which);
    said(errno);
    if (!errno && which == 5 && !fd_filestat_get(fd, stat)) say_number(*(u64 *)(stat + 48));
    return;
  }
  u32 dir = draw_dir(), lookup = draw(2);
  const char *path = draw_path();
  u32 errno = path_filestat_set_times(dir, lookup, path, length_of(path), accessed, modified, which);
  say("path_filestat_set_times");
  say_fd(dir);
  say_number(lookup);
  say_path(path);
  say_number(which);
  said(errno);
  if (!errno && which == 5 && !path_filestat_get(dir, lookup, path, length_of(path), stat)) say_number(*(u64 *)(stat + 48));
}

static void step_listing(void) {
  u32 fd = draw_dir(), room = draw(4) ? 24 + draw(300) : 4096, entries = 0, errno = 0;
  u64 cookie = 0, names = 0, kinds = 0;
  for (u32 again = 1; again;) {
    u32 filled = 0, at = 0;
    errno = fd_readdir(fd, buffer, room, cookie, &filled);
    if (errno) break;
    again = filled == room;
    while (at + 24 <= filled) {
      u64 next = *(u64 *)(buffer + at);
      u32 length = *(u32 *)(buffer + at + 16);
      if (at + 24 + length > filled) break;
      const char *name = (const char *)buffer + at + 24;
      u32 dots = name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
      cookie = next;
      at += 24 + length;
      // A directory that is gone has none of the two.
      if (dots) continue;
      // Their order is the file system's own affair.
      names += hash((const u8 *)name, length);
      kinds += (u8)name[-4] * (hash((const u8 *)name, length) | 1);
      entries++;
    }
    // An entry that does not fit at all.
    if (again && !at) room = 4096;
  }
  say("fd_readdir");
  say_fd(fd);
  said(errno);
  if (errno) return;
  say_number(entries);
  say_number(names);
  say_number(kinds);
}

static void step_path(void) {
  u32 dir = draw_dir(), which = draw(3);
  const char *path = draw_path();
  const char *const names[] = {"path_create_directory", "path_remove_directory", "path_unlink_file"};
  u32 length = length_of(path);
  // wasmtime-wasi removes no directory with a slash after its name.
  if (which == 1 && length && path[length - 1] == '/') return;
  u32 errno = which == 0   ? path_create_directory(dir, path, length)
              : which == 1 ? path_remove_directory(dir, path, length)
                           : path_unlink_file(dir, path, length);
  say(names[which]);
  say_fd(dir);
  say_path(path);
  said(errno);
}

static void step_two_paths(void) {
  u32 dir = draw_dir(), to = draw_dir(), which = draw(4);
  const char *path = draw_path(), *other = draw_path();
  const char *const names[] = {"path_rename", "path_link", "path_symlink", "path_readlink"};
  u32 length = length_of(path), other_length = length_of(other), filled = 0, room = draw(2) ? 3 : 100;
  u32 errno = which == 0   ? path_rename(dir, path, length, to, other, other_length)
              : which == 1 ? path_link(dir, 0, path, length, to, other, other_length)
              : which == 2 ? path_symlink(path, length, to, other, other_length)
                           : path_readlink(dir, path, length, buffer, room, &filled);
  say(names[which]);
  say_fd(dir);
  say_path(path);
  say_fd(to);
  say_path(other);
  said(errno);
  if (!errno && which == 3) say_number(hash(buffer, filled));
}

static void step_other(void) {
  u32 fd = draw_fd(), which = draw(4);
  const char *const names[] = {"fd_sync", "fd_datasync", "fd_advise", "fd_renumber"};
  say(names[which]);
  say_fd(fd);
  if (which == 3) {
    if (fd_count < 3) return said(0);
    u32 from = 1 + draw(fd_count - 1), to = 1 + draw(fd_count - 1);
    u32 errno = fd_renumber(fds[from], fds[to]);
    said(errno);
    if (!errno && from != to) fds[from] = fds[--fd_count];
    return;
  }
  said(which == 0 ? fd_sync(fd) : which == 1 ? fd_datasync(fd) : fd_advise(fd, draw(100), draw(100), draw(6)));
}

static u64 number_of(const char *text) {
  u64 number = 0;
  while (*text) number = number * 10 + (u64)(*text++ - '0');
  return number;
}

__attribute__((export_name("_start"))) void _start(void) {
  static char *list[8];
  static char texts[256];
  if (args_get(list, texts)) __builtin_trap();
  u64 steps = number_of(list[2]);
  state = number_of(list[1]) * 0x9e3779b97f4a7c15 + 1;
  for (u64 step = 0; step < steps; step++) {
    u32 which = draw(24);
    u32 before = used;
    if (fd_count == sizeof fds / sizeof *fds || which == 0) step_close();
    else if (which < 5) step_open();
    else if (which < 10) step_transfer();
    else if (which < 12) step_seek();
    else if (which < 13) step_fdstat();
    else if (which < 15) step_status();
    else if (which < 16) step_size();
    else if (which < 17) step_times();
    else if (which < 18) step_listing();
    else if (which < 20) step_path();
    else if (which < 23) step_two_paths();
    else step_other();
    if (used != before) say_byte('\n');
    if (used > sizeof out / 2) flush();
  }
  say("end of plan\n");
  flush();
}
