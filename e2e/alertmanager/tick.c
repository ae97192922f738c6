/* What the bench of checks looks with, and how little starting it can cost.
 *
 *   tick FILE NUMBER [MS]   a plugin: appends its number and the time to FILE, waits so long as one does that asks
 *                           something over a network, says that all is well, with a value
 *   tick loop COUNT ARG...  starts `tick ARG...` so often, one after the other, and prints the milliseconds of processor
 *                           time that each took, its own and the plugin's */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double used_ms(int who) {
  struct rusage usage;
  getrusage(who, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static int loop(int count, char **arguments) {
  char *none[] = {NULL};
  double before = used_ms(RUSAGE_SELF) + used_ms(RUSAGE_CHILDREN);
  for (int i = 0; i < count; i++) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return 1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    pid_t pid;
    if (posix_spawn(&pid, arguments[0], &actions, NULL, arguments, none) != 0) return 1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char said[4096];
    while (read(ends[0], said, sizeof said) > 0) {
    }
    close(ends[0]);
    waitpid(pid, NULL, 0);
  }
  printf("%.3f\n", (used_ms(RUSAGE_SELF) + used_ms(RUSAGE_CHILDREN) - before) / count);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 4 && strcmp(argv[1], "loop") == 0) {
    char *arguments[] = {argv[0], argv[3], argv[4], NULL};
    return loop(atoi(argv[2]), arguments);
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (argc == 3 || argc == 4) {
    int64_t row[2] = {atoll(argv[2]), now.tv_sec * INT64_C(1000000000) + now.tv_nsec};
    int file = open(argv[1], O_WRONLY | O_APPEND);
    if (file < 0 || write(file, row, sizeof row) != sizeof row) {
      puts("UNKNOWN - the time cannot be noted");
      return 3;
    }
  }
  if (argc == 4) usleep(atoi(argv[3]) * 1000);
  printf("OK - fine | value=%ld;1000000000;2000000000\n", now.tv_nsec);
  return 0;
}
