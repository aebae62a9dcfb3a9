/* What the C tests of all generations share. */
#ifndef CHECK_H
#define CHECK_H
#define _GNU_SOURCE
#include <memif/libmemif.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
  do                                                                                                                   \
    {                                                                                                                  \
      if (!(condition))                                                                                                \
        {                                                                                                              \
          fprintf (stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                   \
          abort ();                                                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

/* Compares error codes, in words. */
#define CHECK_ERR(expression, expected)                                                                                \
  do                                                                                                                   \
    {                                                                                                                  \
      const int got_ = (expression), wanted_ = (expected);                                                             \
      if (got_ != wanted_)                                                                                             \
        {                                                                                                              \
          fprintf (stderr, "%s:%d: %s: %d (%s), expected %d\n", __FILE__, __LINE__, #expression, got_,                 \
                   memif_strerror (got_), wanted_);                                                                    \
          abort ();                                                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

#define OK(expression) CHECK_ERR (expression, MEMIF_ERR_SUCCESS)

/* Runs `body` until `condition`, for at most ten seconds. */
#define UNTIL(condition, body)                                                                                         \
  do                                                                                                                   \
    {                                                                                                                  \
      const time_t end_ = time (NULL) + 10;                                                                            \
      while (!(condition))                                                                                             \
        {                                                                                                              \
          CHECK (time (NULL) < end_);                                                                                  \
          body;                                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
  while (0)

static inline int
readable (int fd)
{
  struct pollfd entry = { .fd = fd, .events = POLLIN };
  return poll (&entry, 1, 0) == 1;
}

static inline int
count_fds (void)
{
  int count = 0;
  for (int fd = 0; fd < 1024; fd++)
    count += dup2 (fd, fd) == fd;
  return count;
}

/* What a peer had as well is closed a moment later, by a thread of the library's. */
static inline int
fds_come_down_to (int count)
{
  for (int tries = 0; tries < 10000 && count_fds () > count; tries++)
    poll (NULL, 0, 1);
  return count_fds () <= count;
}

/* A socket path that nobody else has. */
static inline const char *
unique_path (void)
{
  static char path[108];
  static int number;
  snprintf (path, sizeof path, "/tmp/memif-capi-%d-%d.sock", (int) getpid (), number++);
  return path;
}

/* The program once more, as the peer on the socket `at`, which it finds in its arguments. Not only a fork(): a
   sanitizer's allocator may stay locked in the child of a program with threads. */
static inline pid_t
start_peer (char *const program[], const char *at, int output)
{
  const pid_t child = fork ();
  if (child != 0)
    return child;
  dup2 (output, STDOUT_FILENO);
  execl (program[0], program[0], at, (char *) NULL);
  _exit (127);
}

static inline void
end_with_the_parent (void)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () == 1)
    _exit (1);
}

/* As many packets as there is room for, up to `count`. The bytes of each buffer are its number, counted from `mark`. */
static inline uint16_t
send_marked (memif_conn_handle_t conn, uint16_t count, uint16_t size, uint8_t mark)
{
  memif_buffer_t bufs[256];
  uint16_t n = 0, sent = 0;
  const int err = memif_buffer_alloc (conn, 0, bufs, count, &n, size);
  CHECK (err == MEMIF_ERR_SUCCESS || err == MEMIF_ERR_NOBUF_RING);
  for (int i = 0; i < n; i++)
    memset (bufs[i].data, mark + i, bufs[i].len);
  OK (memif_tx_burst (conn, 0, bufs, n, &sent));
  CHECK (sent == n);
  return n;
}

static inline uint16_t
send_packets (memif_conn_handle_t conn, uint16_t count, uint16_t size)
{
  return send_marked (conn, count, size, 0);
}

/* An allocator that counts, and can be made to fail. */
static long live_blocks, allocations, fail_after = -1;

static inline void *
counting_alloc (size_t size)
{
  if (fail_after >= 0 && allocations >= fail_after)
    return NULL;
  void *block = malloc (size);
  if (block != NULL)
    live_blocks++, allocations++;
  return block;
}

static inline void *
counting_realloc (void *old, size_t size)
{
  if (fail_after >= 0 && allocations >= fail_after)
    return NULL;
  void *block = realloc (old, size);
  if (block != NULL)
    allocations++, live_blocks += old == NULL;
  return block;
}

static inline void
counting_free (void *block)
{
  live_blocks -= block != NULL;
  free (block);
}

#endif
