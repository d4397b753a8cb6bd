/* Preloaded into the real binary: counts the steps that it takes on files below a folder, and fails one of them.
 *
 * FAULT_FOLDER  steps on files below it count
 * FAULT_AT      the number of the step that fails, from 0; -1: none
 * FAULT_TIMES   how many steps fail from there on
 * FAULT_ERRNO   how
 * FAULT_SIGNAL  a signal that the process gets at that step instead, which does not fail then
 * FAULT_COUNT   a file that gets the number of steps when the process ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long steps;

static long setting(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

static int below(const char *path) {
  const char *folder = getenv("FAULT_FOLDER");
  return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

/* Whether this step is to fail; errno is set then. */
static int struck(const char *path) {
  if (!below(path)) return 0;
  long at = setting("FAULT_AT", -1), step = atomic_fetch_add(&steps, 1);
  if (at < 0 || step < at || step >= at + setting("FAULT_TIMES", 1)) return 0;
  long signal = setting("FAULT_SIGNAL", 0);
  if (signal) {
    kill(getpid(), (int)signal);
    return 0;
  }
  errno = (int)setting("FAULT_ERRNO", EIO);
  return 1;
}

static int struck_fd(int fd) {
  char link[40], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, sizeof path - 1);
  if (len < 0) return 0;
  path[len] = 0;
  return struck(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define ON_FD(type, name, parameters, ...)                \
  type name parameters {                                  \
    if (struck_fd(fd)) return -1;                         \
    static __typeof__(&name) real;                        \
    if (!real) real = REAL(name);                         \
    return real(__VA_ARGS__);                             \
  }
#define ON_PATH(name, parameters, path, ...)              \
  int name parameters {                                   \
    if (struck(path)) return -1;                          \
    static __typeof__(&name) real;                        \
    if (!real) real = REAL(name);                         \
    return real(__VA_ARGS__);                             \
  }

ON_FD(ssize_t, read, (int fd, void *to, size_t n), fd, to, n)
ON_FD(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), fd, to, n, at)
ON_FD(ssize_t, write, (int fd, const void *from, size_t n), fd, from, n)
ON_FD(ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t at), fd, from, n, at)
ON_FD(int, fsync, (int fd), fd)
ON_FD(int, fdatasync, (int fd), fd)
ON_FD(int, ftruncate64, (int fd, off64_t len), fd, len)
ON_FD(int, sync_file_range, (int fd, off64_t from, off64_t n, unsigned how), fd, from, n, how)
ON_PATH(rename, (const char *from, const char *to), to, from, to)
ON_PATH(link, (const char *from, const char *to), to, from, to)
ON_PATH(linkat, (int a, const char *from, int b, const char *to, int how), to, a, from, b, to, how)
ON_PATH(mkdir, (const char *path, mode_t mode), path, path, mode)
ON_PATH(unlink, (const char *path), path, path)

int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | __O_TMPFILE)) {
    __builtin_va_list rest;
    __builtin_va_start(rest, flags);
    mode = (mode_t)__builtin_va_arg(rest, int);
    __builtin_va_end(rest);
  }
  if (struck(path)) return -1;
  static int (*real)(const char *, int, ...);
  if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
  return real(path, flags, mode);
}

__attribute__((destructor)) static void tell(void) {
  const char *path = getenv("FAULT_COUNT");
  long total = atomic_load(&steps);
  unsetenv("FAULT_FOLDER");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%ld", total);
  fclose(file);
}
