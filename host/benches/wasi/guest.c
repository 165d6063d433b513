// What a program of C does with files, some times over: prints for each row its name and the nanoseconds that one round took.
// The same source is the native program and the guest.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 20];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void must(int holds, const char *what) {
  if (holds) return;
  perror(what);
  exit(1);
}

// A read may be short.
static void read_at(int file, size_t size, off_t offset) {
  for (size_t done = 0; done < size;) {
    ssize_t count = pread(file, buffer + done, size - done, offset + (off_t)done);
    must(count > 0, "pread");
    done += (size_t)count;
  }
}

#define ROW(name, count, body)                                  \
  do {                                                          \
    double start = now();                                       \
    for (int i = 0; i < (count); i++) body;                     \
    printf("%s %.1f\n", name, (now() - start) / (double)(count)); \
  } while (0)

static int listed(const char *path) {
  DIR *dir = opendir(path);
  must(dir != NULL, "opendir");
  int count = 0;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static void fill(const char *dir, int from, int to) {
  for (int i = from; i < to; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s/name-%d", dir, i);
    int other = open(name, O_WRONLY | O_CREAT, 0666);
    must(other >= 0 && close(other) == 0, "create");
  }
}

// As `ls -lR` does it: each directory is listed, and each name looked at.
static int looked_at(const char *path) {
  DIR *dir = opendir(path);
  must(dir != NULL, "opendir");
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    char name[512];
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    struct stat status;
    must(lstat(name, &status) == 0, "lstat");
    count += S_ISDIR(status.st_mode) ? looked_at(name) : 1;
  }
  closedir(dir);
  return count;
}

int main(void) {
  int file = open("data", O_RDWR | O_CREAT | O_TRUNC, 0666);
  must(file >= 0, "open");
  for (int i = 0; i < 16; i++) must(write(file, buffer, sizeof buffer) == (ssize_t)sizeof buffer, "write");
  struct stat status;
  ROW("pread-4k", 200000, read_at(file, 4096, (off_t)(i & 4095) << 12));
  ROW("pread-64k", 20000, read_at(file, 65536, (off_t)(i & 255) << 16));
  ROW("pread-1m", 1000, read_at(file, 1 << 20, (off_t)(i & 15) << 20));
  ROW("seek+write-13", 200000, {
    must(lseek(file, (off_t)i * 13, SEEK_SET) >= 0, "lseek");
    must(write(file, "thirteen byte", 13) == 13, "write");
  });
  ROW("write-4k", 50000, must(pwrite(file, buffer, 4096, (off_t)(i & 4095) << 12) == 4096, "pwrite"));
  ROW("stat", 100000, must(stat("data", &status) == 0, "stat"));
  ROW("fstat", 200000, must(fstat(file, &status) == 0, "fstat"));
  ROW("open+read+close", 50000, {
    int other = open("data", O_RDONLY);
    must(other >= 0 && read(other, buffer, 100) == 100 && close(other) == 0, "open");
  });
  ROW("create+unlink", 10000, {
    int other = open("new", O_WRONLY | O_CREAT | O_EXCL, 0666);
    must(other >= 0 && close(other) == 0 && unlink("new") == 0, "create");
  });
  must(mkdir("list", 0777) == 0, "mkdir");
  fill("list", 0, 10000);
  ROW("list-10000", 3, must(listed("list") >= 10000, "list"));
  fill("list", 10000, 20000);
  ROW("list-20000", 3, must(listed("list") >= 20000, "list"));
  must(mkdir("tree", 0777) == 0, "mkdir");
  for (int i = 0; i < 20; i++) {
    char name[64];
    snprintf(name, sizeof name, "tree/%d", i);
    must(mkdir(name, 0777) == 0, "mkdir");
    fill(name, 0, 1000);
  }
  ROW("ls-lR-20000", 3, must(looked_at("tree") == 20000, "ls -lR"));
  return 0;
}
