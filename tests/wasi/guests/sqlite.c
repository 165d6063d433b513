// A shell for SQLite: carries out the statements of standard input in the database that it is given, and prints what they come
// to, a row a line, with `|` between the columns.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

static int print(void *unused, int columns, char **values, char **names) {
  for (int i = 0; i < columns; i++) printf("%s%s", i ? "|" : "", values[i] ? values[i] : "");
  return putchar('\n') == EOF;
}

static char *all_of(FILE *file) {
  size_t size = 1 << 16, length = 0;
  char *text = malloc(size);
  while (text && (length += fread(text + length, 1, size - length, file)) == size) text = realloc(text, size *= 2);
  if (text) text[length] = 0;
  return text;
}

int main(int argc, char **argv) {
  sqlite3 *database = NULL;
  char *statements = all_of(stdin), *message = NULL;
  int failed = argc != 2 || !statements || sqlite3_open(argv[1], &database) ||
               sqlite3_exec(database, statements, print, NULL, &message);
  if (failed) fprintf(stderr, "%s\n", message ? message : sqlite3_errmsg(database));
  return sqlite3_close(database) || fflush(stdout) || failed;
}
