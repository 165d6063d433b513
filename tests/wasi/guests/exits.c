// Ends with a status of its own.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  printf("ends with %s\n", argc > 1 ? argv[1] : "42");
  return argc > 1 ? atoi(argv[1]) : 42;
}
