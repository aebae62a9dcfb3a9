/* What the guide of 2018 shows, made one program: an ICMP responder, in either role, with the library polling or in a
 * loop of its own. It never gives a buffer back before it has received one, and calls memif_refill_queue and
 * memif_buffer_alloc with as few arguments as the guide. Compiles as C of any age, and as C++.
 *
 *   guide SOCKET ADDRESS slave|master library|own */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <libmemif.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C"
{
#endif
#include "icmp.h"
#ifdef __cplusplus
}
#endif

#define MAX_MEMIF_BUFS 256

#define INFO(...) (printf (__VA_ARGS__), putchar ('\n'), fflush (stdout))

typedef struct
{
  memif_conn_handle_t conn;
  memif_buffer_t bufs[MAX_MEMIF_BUFS], tx_bufs[MAX_MEMIF_BUFS];
  uint16_t tx_buf_num;
  icmp_host_t host;
  unsigned long answered;
} memif_connection_t;

static volatile sig_atomic_t stopped;
static int epoll_fd = -1;

static void
check (const char *what, int err)
{
  if (err == MEMIF_ERR_SUCCESS)
    return;
  INFO ("%s: %s", what, memif_strerror (err));
  exit (EXIT_FAILURE);
}

static void
stop (int number)
{
  (void) number;
  stopped = 1;
  memif_cancel_poll_event ();
}

static int
control_fd_update (int fd, uint8_t events)
{
  struct epoll_event evt;
  int operation = events & MEMIF_FD_EVENT_MOD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  memset (&evt, 0, sizeof evt);
  evt.data.fd = fd;
  if (events & MEMIF_FD_EVENT_DEL)
    return epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, &evt);
  if (events & MEMIF_FD_EVENT_READ)
    evt.events |= EPOLLIN;
  if (events & MEMIF_FD_EVENT_WRITE)
    evt.events |= EPOLLOUT;
  return epoll_ctl (epoll_fd, operation, fd, &evt);
}

static int
on_connect (memif_conn_handle_t conn, void *private_ctx)
{
  int fd = -1;
  (void) private_ctx;
  check ("memif_get_queue_efd", memif_get_queue_efd (conn, 0, &fd));
  INFO ("memif connected!");
  return 0;
}

static int
on_disconnect (memif_conn_handle_t conn, void *private_ctx)
{
  (void) conn;
  (void) private_ctx;
  INFO ("memif disconnected!");
  return 0;
}

static int
on_interrupt (memif_conn_handle_t conn, void *private_ctx, uint16_t qid)
{
  memif_connection_t *c = (memif_connection_t *) private_ctx;
  size_t lengths[MAX_MEMIF_BUFS];
  uint16_t rx = 0, r = 0, i, n = 0;
  int err = memif_rx_burst (conn, qid, c->bufs, MAX_MEMIF_BUFS, &rx);
  if (err != MEMIF_ERR_NOBUF)
    check ("memif_rx_burst", err);
  for (i = 0; i < rx; i++)
    {
      lengths[i] = icmp_answer (&c->host, c->bufs[i].data, c->bufs[i].len);
      n = (uint16_t) (n + (lengths[i] != 0));
    }
  err = memif_buffer_alloc (c->conn, qid, c->tx_bufs, n, &r);
  if (err != MEMIF_ERR_NOBUF_RING)
    check ("memif_buffer_alloc", err);
  c->tx_buf_num = 0;
  for (i = 0; i < rx && c->tx_buf_num < r; i++)
    if (lengths[i] != 0)
      {
        memif_buffer_t *tx = &c->tx_bufs[c->tx_buf_num++];
        memcpy (tx->data, c->bufs[i].data, lengths[i]);
        tx->len = (uint32_t) lengths[i];
      }
  check ("memif_refill_queue", memif_refill_queue (c->conn, qid, rx));
  check ("memif_tx_burst", memif_tx_burst (c->conn, qid, c->tx_bufs, c->tx_buf_num, &r));
  c->answered += r;
  return 0;
}

static void
poll_own (void)
{
  struct epoll_event evt;
  int n = epoll_wait (epoll_fd, &evt, 1, 100);
  if (n == 1)
    check ("memif_control_fd_handler",
           memif_control_fd_handler (evt.data.fd, evt.events & EPOLLOUT ? MEMIF_FD_EVENT_WRITE : MEMIF_FD_EVENT_READ));
}

static memif_connection_t ctx;

int
main (int argc, char **argv)
{
  char name[] = "guide", buf[2048];
  memif_conn_args_t args;
  memif_details_t md;
  int own, err;
  if (argc != 5 || icmp_host (&ctx.host, argv[2]) != 0)
    return 2;
  own = strcmp (argv[4], "own") == 0;
  if (own)
    epoll_fd = epoll_create1 (0);
  signal (SIGINT, stop);
  check ("memif_init", memif_init (own ? control_fd_update : NULL, name, NULL, NULL));
  memset (&args, 0, sizeof (args));
  args.socket_filename = (uint8_t *) argv[1];
  args.is_master = strcmp (argv[3], "master") == 0;
  args.log2_ring_size = 10;
  args.buffer_size = 2048;
  args.num_s2m_rings = 2;
  args.num_m2s_rings = 2;
  strncpy ((char *) args.interface_name, name, strlen (name));
  args.mode = MEMIF_INTERFACE_MODE_ETHERNET;
  args.interface_id = 0;
  check ("memif_create", memif_create (&ctx.conn, &args, on_connect, on_disconnect, on_interrupt, &ctx));
  INFO ("memif %u", memif_get_version ());
  while (!stopped)
    if (own)
      poll_own ();
    else if ((err = memif_poll_event (-1)) != MEMIF_ERR_POLL_CANCEL)
      check ("memif_poll_event", err);
  check ("memif_get_details", memif_get_details (ctx.conn, &md, buf, sizeof buf));
  INFO ("%s: %lu answered", (char *) md.if_name, ctx.answered);
  check ("memif_delete", memif_delete (&ctx.conn));
  check ("memif_cleanup", memif_cleanup ());
  return EXIT_SUCCESS;
}
