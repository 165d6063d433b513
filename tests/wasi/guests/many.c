// Opens as many files as it is told and has them all open at a time; then reads from each what it wrote there.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int count = atoi(argv[1]), *files = calloc((size_t)count, sizeof *files);
  char name[32], text[32];
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "file-%d", i);
    files[i] = open(name, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (files[i] < 0) return perror(name), 1;
    int length = snprintf(text, sizeof text, "this is %d", i);
    if (write(files[i], text, (size_t)length) != length) return perror("write"), 1;
  }
  for (int i = 0; i < count; i++) {
    int length = snprintf(name, sizeof name, "this is %d", i);
    if (pread(files[i], text, sizeof text, 0) != length || close(files[i])) return perror("pread"), 1;
    text[length] = 0;
    for (int at = 0; at < length; at++)
      if (text[at] != name[at]) return printf("%s is not %s\n", text, name), 1;
  }
  printf("%d files\n", count);
  return 0;
}
