/* Generation 4: what its tests share. Between the v4_*.c they have every function, and every line of what programs
 * depend on. Compiled from the installed tree. */
#ifndef V4_H
#define V4_H
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

_Static_assert(sizeof (memif_buffer_t) == 32, "memif_buffer_t");
_Static_assert(offsetof (memif_buffer_t, queue) == 8 && offsetof (memif_buffer_t, len) == 16, "memif_buffer_t");
_Static_assert(offsetof (memif_buffer_t, flags) == 20 && offsetof (memif_buffer_t, data) == 24, "memif_buffer_t");
_Static_assert(sizeof (memif_conn_args_t) == 80, "memif_conn_args_t");
_Static_assert(sizeof (memif_details_t) == 120, "memif_details_t");
_Static_assert(sizeof (memif_queue_details_t) == 16, "memif_queue_details_t");
_Static_assert(sizeof (memif_region_details_t) == 32, "memif_region_details_t");
_Static_assert(sizeof (memif_socket_args_t) == 208, "memif_socket_args_t");
_Static_assert(MEMIF_ERR_PRIVHDR == 39 && MEMIF_ERR_DISCONNECTED == 35 && MEMIF_ERR_NOBUF == 19, "errors");

/* One end of a link. */
typedef struct
{
  memif_socket_handle_t sock;
  memif_conn_handle_t conn;
  int connects, disconnects, interrupts, handle_was_set, delete_on_disconnect;
  int (*on_interrupt) (void *, void *, uint16_t);
} end_t;

static inline int
on_connect (memif_conn_handle_t conn, void *ctx)
{
  end_t *end = ctx;
  end->connects++;
  end->handle_was_set = end->conn == conn;
  return 0;
}

static inline int
on_disconnect (memif_conn_handle_t conn, void *ctx)
{
  end_t *end = ctx;
  (void) conn;
  end->disconnects++;
  if (end->delete_on_disconnect)
    OK (memif_delete (&end->conn));
  return 0;
}

static inline int
on_interrupt (memif_conn_handle_t conn, void *ctx, uint16_t qid)
{
  end_t *end = ctx;
  end->interrupts++;
  return end->on_interrupt != NULL ? end->on_interrupt (conn, ctx, qid) : 0;
}

static inline void
open_socket (end_t *end, const char *path, const char *name)
{
  memif_socket_args_t args = { 0 };
  snprintf (args.path, sizeof args.path, "%s", path);
  snprintf (args.app_name, sizeof args.app_name, "%s", name);
  OK (memif_create_socket (&end->sock, &args, end));
}

/* A master and a slave of the same arguments, each on a socket of its own, connected. */
typedef struct
{
  end_t master, slave;
} pair_t;

static inline void
poll_both (pair_t *pair)
{
  OK (memif_poll_event (pair->master.sock, 1));
  OK (memif_poll_event (pair->slave.sock, 1));
}

static inline void
create_end (end_t *end, memif_conn_args_t args, int master)
{
  args.socket = end->sock;
  args.is_master = (uint8_t) master;
  snprintf ((char *) args.interface_name, sizeof args.interface_name, master ? "the-master" : "the-slave");
  OK (memif_create (&end->conn, &args, on_connect, on_disconnect, end->on_interrupt ? on_interrupt : NULL, end));
}

static inline void
connect_pair (pair_t *pair, memif_conn_args_t args)
{
  const char *path = unique_path ();
  open_socket (&pair->master, path, "app-m");
  open_socket (&pair->slave, path, "app-s");
  create_end (&pair->master, args, 1);
  create_end (&pair->slave, args, 0);
  UNTIL (pair->master.connects && pair->slave.connects, poll_both (pair));
}

static inline void
close_end (end_t *end)
{
  if (end->conn != NULL)
    OK (memif_delete (&end->conn));
  CHECK (end->conn == NULL);
  OK (memif_delete_socket (&end->sock));
  CHECK (end->sock == NULL);
}

static inline void
close_pair (pair_t *pair)
{
  close_end (&pair->slave);
  close_end (&pair->master);
}

/* A program's cases, by name; without arguments all of them. */
typedef struct
{
  const char *name;
  void (*run) (void);
} case_t;

#define CASE(name)                                                                                                     \
  {                                                                                                                    \
#name, name                                                                                                        \
  }

static inline int
run_cases (const case_t *cases, size_t count, int argc, char **argv)
{
  /* A first link opens what the process keeps forever. */
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  close_pair (&pair);
  int ran = 0;
  for (size_t i = 0; i < count; i++)
    {
      if (argc > 1 && strcmp (argv[1], cases[i].name) != 0)
        continue;
      fprintf (stderr, "%s\n", cases[i].name);
      const int fds = count_fds ();
      cases[i].run ();
      CHECK (fds_come_down_to (fds));
      ran++;
    }
  CHECK (ran != 0);
  return 0;
}

#define RUN_CASES(argc, argv) run_cases (cases, sizeof cases / sizeof cases[0], argc, argv)

#endif
