// Counts its arguments and their bytes, and the variables of its environment.
#include <stdio.h>
#include <string.h>

extern char **environ;

int main(int argc, char **argv) {
  size_t bytes = 0, variables = 0;
  for (int i = 1; i < argc; i++) bytes += strlen(argv[i]);
  while (environ && environ[variables]) variables++;
  printf("%d arguments, %zu bytes, %zu variables, the last %s\n", argc - 1, bytes, variables, argv[argc - 1]);
  return 0;
}
