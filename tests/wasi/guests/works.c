// Does with files what other tests of the suite do not: each step says what went wrong.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHECK(what) \
  if (!(what)) return printf("line %d: %s: %s\n", __LINE__, #what, strerror(errno)), 1

static int appends(void) {
  int file = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0666), other = open("log", O_WRONLY);
  CHECK(file >= 0 && other >= 0);
  CHECK(fcntl(file, F_SETFL, O_APPEND) == 0 && (fcntl(file, F_GETFL) & O_APPEND));
  CHECK(write(other, "one ", 4) == 4 && write(file, "two", 3) == 3);
  CHECK(lseek(file, 0, SEEK_CUR) == 7);
  struct stat status;
  CHECK(fstat(file, &status) == 0 && status.st_size == 7);
  CHECK(fcntl(file, F_SETFL, 0) == 0 && pwrite(file, "O", 1, 0) == 1);
  char text[8] = "";
  int third = open("log", O_RDONLY);
  CHECK(third > other && read(third, text, 8) == 7 && !strcmp(text, "One two"));
  return close(third) | close(file) | close(other);
}

// What a file is opened for can change between two writes, and another descriptor writes between them as well.
static int appends_later(void) {
  int file = open("later", O_RDWR | O_CREAT | O_TRUNC, 0666), other = open("later", O_WRONLY);
  CHECK(file >= 0 && other >= 0);
  CHECK(write(file, "0123456", 7) == 7 && pwrite(other, "abcdefghij", 10, 7) == 10);
  CHECK(fcntl(file, F_SETFL, O_APPEND) == 0 && write(file, "Y", 1) == 1 && write(file, "Z", 1) == 1);
  char text[32] = "";
  CHECK(pread(file, text, sizeof text, 0) == 19 && !strcmp(text, "0123456abcdefghijYZ"));
  return close(file) | close(other);
}

static int writes_much(void) {
  size_t size = 9 << 20;
  char *data = malloc(size), *back = malloc(size);
  for (size_t i = 0; i < size; i++) data[i] = (char)(i * 7 >> 3);
  int file = open("much", O_RDWR | O_CREAT | O_APPEND, 0666);
  CHECK(file >= 0);
  CHECK(write(file, data, size) == (ssize_t)size);
  CHECK(pread(file, back, size, 0) == (ssize_t)size && !memcmp(data, back, size));
  struct iovec pieces[3] = {{back, 5}, {back + 5, 0}, {back + 5, 4000}};
  CHECK(lseek(file, 1000, SEEK_SET) == 1000 && readv(file, pieces, 3) == 4005 && !memcmp(back, data + 1000, 4005));
  CHECK(writev(file, pieces, 3) == 4005 && lseek(file, 0, SEEK_END) == (off_t)size + 4005);
  CHECK(posix_fallocate(file, 0, (off_t)size + 5000) == 0 && lseek(file, 0, SEEK_END) == (off_t)size + 5000);
  return close(file);
}

// What removes the entries of a directory while it is listed finds each of them.
static int removes(void) {
  char name[64];
  CHECK(mkdir("full", 0777) == 0);
  for (int i = 0; i < 3000; i++) {
    snprintf(name, sizeof name, "full/a name that is long enough to fill buffers %d", i);
    int file = open(name, O_WRONLY | O_CREAT, 0666);
    CHECK(file >= 0 && close(file) == 0);
  }
  DIR *dir = opendir("full");
  CHECK(dir);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "full/%s", entry->d_name);
    CHECK(unlink(name) == 0);
    count++;
  }
  CHECK(count == 3000 && closedir(dir) == 0);
  CHECK(rmdir("full/") == 0);
  return 0;
}

// Status of an entry is that of what the listing says.
static int lists(void) {
  CHECK(mkdir("some", 0777) == 0 && mkdir("some/below", 0777) == 0 && symlink("below", "some/link") == 0);
  DIR *dir = opendir("some");
  CHECK(dir);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (entry->d_name[0] == '.') continue;
    char name[64];
    struct stat status;
    snprintf(name, sizeof name, "some/%s", entry->d_name);
    CHECK(lstat(name, &status) == 0 && status.st_ino == entry->d_ino && status.st_nlink >= 1);
    count++;
  }
  CHECK(count == 2 && closedir(dir) == 0);
  struct stat one, other;
  CHECK(stat("some/below", &one) == 0 && stat("some/link", &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev);
  return 0;
}

// A new descriptor has the lowest number that is free.
static int numbers(void) {
  int one = open("one", O_RDWR | O_CREAT, 0666), two = open("two", O_RDWR | O_CREAT, 0666), last = open("last", O_RDWR | O_CREAT, 0666);
  CHECK(one >= 0 && two == one + 1 && last == two + 1);
  CHECK(close(two) == 0 && close(one) == 0);
  CHECK(open("two", O_RDONLY) == one && open("one", O_RDONLY) == two && open("last", O_RDONLY) == last + 1);
  return close(one) | close(two) | close(last) | close(last + 1);
}

// What was made or emptied and opened for reading cannot be written.
static int reads_only(void) {
  int made = open("made", O_RDONLY | O_CREAT, 0666), file = open("emptied", O_WRONLY | O_CREAT, 0666);
  CHECK(made >= 0 && file >= 0 && write(file, "text", 4) == 4 && close(file) == 0);
  int emptied = open("emptied", O_RDONLY | O_TRUNC);
  struct stat status;
  CHECK(emptied >= 0 && fstat(emptied, &status) == 0 && status.st_size == 0);
  CHECK(write(made, "x", 1) == -1 && errno == EBADF && write(emptied, "x", 1) == -1 && errno == EBADF);
  CHECK(ftruncate(made, 1) == -1 && errno == EBADF);
  return close(made) | close(emptied);
}

// Sets no time at all.
static int sets_no_time(void) {
  struct timespec none[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
  CHECK(utimensat(AT_FDCWD, "made", none, 0) == 0);
  CHECK(utimensat(AT_FDCWD, "missing", none, 0) == -1 && errno == ENOENT);
  return 0;
}

// Objects of the file system are told apart by their numbers.
static int tells_apart(void) {
  struct stat here, file, link_to_it;
  CHECK(stat(".", &here) == 0 && stat("made", &file) == 0 && link("made", "linked") == 0 && stat("linked", &link_to_it) == 0);
  CHECK(file.st_dev == here.st_dev && file.st_ino != here.st_ino);
  CHECK(link_to_it.st_dev == file.st_dev && link_to_it.st_ino == file.st_ino && unlink("linked") == 0);
  return 0;
}

static int says_numbers(void) {
  struct stat here;
  CHECK(stat(".", &here) == 0);
  return printf("%llu %llu\n", (unsigned long long)here.st_dev, (unsigned long long)here.st_ino) < 0;
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) return says_numbers();
  return appends() || appends_later() || writes_much() || removes() || lists() || numbers() || reads_only() || sets_no_time() || tells_apart();
}
