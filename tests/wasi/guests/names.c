// Lists its directory, and removes each entry by the name that it has there.
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  char names[64][256];
  int count = 0;
  DIR *dir = opendir(".");
  if (!dir) return perror("opendir"), 1;
  for (struct dirent *entry; count < 64 && (entry = readdir(dir));) {
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) strncpy(names[count++], entry->d_name, 255);
  }
  closedir(dir);
  for (int i = 0; i < count; i++) {
    if (unlink(names[i])) return perror(names[i]), 1;
  }
  printf("%d entries\n", count);
  return 0;
}
