/* What differs between the generations, for tests that are compiled once for each: GENERATION says which, ten times its
 * number: 20, 21, 30 or 40. There is one instance, started at a path; masters and slaves live on it. */
#ifndef GENERATIONS_H
#define GENERATIONS_H
#include "check.h"

static const char *path;

#if GENERATION < 30
typedef memif_interrupt_t interrupt_t;

#if GENERATION == 20
#define init(update, name, alloc, realloc, free) memif_init (update, name, alloc, free)
#else
#define init memif_init
#endif

static inline int
start (memif_control_fd_update_t *update)
{
  return init (update, "test", NULL, NULL, NULL);
}

static inline int
stop (void)
{
  return memif_cleanup ();
}

#define on_fd_arguments int event_on, uint8_t events
#define event_fd event_on
#define event_bits events
#define poll_for(milliseconds) memif_poll_event (milliseconds)
#define cancel() memif_cancel_poll_event ()
#define handle_event(fd, token, events) memif_control_fd_handler (fd, events)
#elif GENERATION == 30
typedef memif_interrupt_t interrupt_t;
static memif_socket_handle_t sock;

static inline int
start (memif_control_fd_update_t *update)
{
  const int err = memif_init (update, "test", NULL, NULL, NULL);
  return err != MEMIF_ERR_SUCCESS ? err : memif_create_socket (&sock, path, NULL);
}

static inline int
stop (void)
{
  return memif_cleanup ();
}

#define on_fd_arguments int event_on, uint8_t events, void *ctx
#define event_fd ((void) ctx, event_on)
#define event_bits ((void) ctx, events)
#define poll_for(milliseconds) memif_poll_event (milliseconds)
#define cancel() memif_cancel_poll_event ()
#define handle_event(fd, token, events) memif_control_fd_handler (fd, events)
#else
typedef memif_on_interrupt_t interrupt_t;
static memif_socket_handle_t sock;

static inline int
start (memif_control_fd_update_t *update)
{
  memif_socket_args_t args = { .on_control_fd_update = update };
  snprintf (args.path, sizeof args.path, "%s", path);
  return memif_create_socket (&sock, &args, NULL);
}

static inline int
stop (void)
{
  return memif_delete_socket (&sock);
}

#define on_fd_arguments memif_fd_event_t event, void *ctx
#define event_fd ((void) ctx, event.fd)
#define event_bits ((void) ctx, (unsigned) event.type)
#define event_token event.private_ctx
#define poll_for(milliseconds) memif_poll_event (sock, milliseconds)
#define cancel() memif_cancel_poll_event (sock)
#define handle_event(fd, token, events) memif_control_fd_handler (token, events)
#endif
#define refill(conn, qid, count) memif_refill_queue (conn, qid, count, 0)
#ifndef event_token
#define event_token NULL
#endif

/* An end of a link. Its callbacks count what happens to it, and refill its queue. */
typedef struct
{
#if GENERATION == 30
  memif_per_thread_main_handle_t instance; /* NULL: the global one */
  memif_socket_handle_t sock;
#endif
  memif_conn_handle_t conn;
  int connects, disconnects, interrupts;
} end_t;

static int post_on_connect = -1; /* how many buffers */

static inline int
on_connect (memif_conn_handle_t conn, void *ctx)
{
  end_t *end = ctx;
  CHECK (end->conn == conn);
  __atomic_fetch_add (&end->connects, 1, __ATOMIC_RELEASE);
  return post_on_connect != 0 ? refill (conn, 0, post_on_connect) : 0;
}

#ifdef MEMIF_BUFFER_FLAG_RX
#define RECEIVED MEMIF_BUFFER_FLAG_RX
#else
#define RECEIVED 0
#endif

static inline int
on_disconnect (memif_conn_handle_t conn, void *ctx)
{
  (void) conn;
  ((end_t *) ctx)->disconnects++;
  return 0;
}

static inline int
on_interrupt (memif_conn_handle_t conn, void *ctx, uint16_t qid)
{
  memif_buffer_t bufs[64];
  uint16_t n = 0;
  ((end_t *) ctx)->interrupts++;
  OK (memif_rx_burst (conn, qid, bufs, 64, &n));
  OK (refill (conn, qid, n));
  return GENERATION == 40 ? 0 : -7; /* nobody's business in the others */
}

/* The same arguments, at `path`. */
static inline memif_conn_args_t
placed (memif_conn_args_t args)
{
#if GENERATION < 30
  args.socket_filename = (uint8_t *) path;
#else
  args.socket = sock;
#endif
  return args;
}

static inline int
create_with (memif_conn_handle_t *conn, memif_conn_args_t args, memif_connection_update_t *on_connect,
             memif_connection_update_t *on_disconnect, interrupt_t *on_interrupt, void *ctx)
{
  args = placed (args);
  return memif_create (conn, &args, on_connect, on_disconnect, on_interrupt, ctx);
}

static inline void
start_at (const char *at)
{
  path = at;
  OK (start (NULL));
}

#endif
