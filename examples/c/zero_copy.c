/* An ICMP responder without copies, generation 3: a slave turns each request into its answer where it lies, and moves
 * the buffer from the receive ring to the transmit ring. Ctrl+C ends it.
 *
 *   zero_copy SOCKET ADDRESS [ID]
 */
#include <libmemif.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "icmp.h"

enum
{
  burst = 64
};

static icmp_host_t host;
static unsigned long answered;
static volatile sig_atomic_t stopped;

static void
stop (int number)
{
  (void) number;
  stopped = 1;
  memif_cancel_poll_event ();
}

static int
on_connect (memif_conn_handle_t conn, void *context)
{
  (void) context;
  puts ("connected");
  return memif_refill_queue (conn, 0, UINT16_MAX, 0);
}

static int
on_disconnect (memif_conn_handle_t conn, void *context)
{
  (void) conn, (void) context;
  puts ("disconnected");
  return 0;
}

static int
on_interrupt (memif_conn_handle_t conn, void *context, uint16_t qid)
{
  (void) context;
  memif_buffer_t bufs[burst];
  int more;
  do
    {
      uint16_t n = 0, answers = 0, moved = 0, sent = 0;
      more = memif_rx_burst (conn, qid, bufs, burst, &n);
      if (more != MEMIF_ERR_SUCCESS && more != MEMIF_ERR_NOBUF)
        return more;
      for (uint16_t i = 0; i < n; i++)
        if ((bufs[i].flags & MEMIF_BUFFER_FLAG_NEXT) == 0 && icmp_answer (&host, bufs[i].data, bufs[i].len) != 0)
          bufs[answers++] = bufs[i];
      /* The answers take the places of free buffers of the transmit ring, and those go back to the master instead. What
       * the ring has no room for is lost, as on any wire. */
      memif_buffer_enq_tx (conn, 0, bufs, answers, &moved);
      memif_tx_burst (conn, 0, bufs, moved, &sent);
      answered += sent;
      const int refilled = memif_refill_queue (conn, qid, n, 0);
      if (refilled != MEMIF_ERR_SUCCESS)
        return refilled;
    }
  while (more == MEMIF_ERR_NOBUF);
  return 0;
}

static int
failed (const char *what, int err)
{
  fprintf (stderr, "%s: %s\n", what, memif_strerror (err));
  return EXIT_FAILURE;
}

int
main (int argc, char **argv)
{
  if (argc < 3 || icmp_host (&host, argv[2]) != 0)
    {
      fprintf (stderr, "usage: %s SOCKET ADDRESS [ID]\n", argv[0]);
      return 2;
    }
  setvbuf (stdout, NULL, _IOLBF, 0);
  memif_socket_handle_t sock = NULL;
  memif_conn_handle_t conn = NULL;
  int err = memif_init (NULL, "zero-copy", NULL, NULL, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_init", err);
  err = memif_create_socket (&sock, argv[1], NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_create_socket", err);
  signal (SIGINT, stop);
  signal (SIGTERM, stop);

  memif_conn_args_t args = { .socket = sock, .interface_id = argc > 3 ? (uint32_t) strtoul (argv[3], NULL, 0) : 0 };
  err = memif_create (&conn, &args, on_connect, on_disconnect, on_interrupt, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_create", err);
  while (!stopped)
    {
      err = memif_poll_event (-1);
      if (err != MEMIF_ERR_SUCCESS && err != MEMIF_ERR_POLL_CANCEL)
        return failed ("memif_poll_event", err);
    }
  printf ("%lu answered\n", answered);
  memif_delete (&conn);
  memif_delete_socket (&sock);
  memif_cleanup ();
  return EXIT_SUCCESS;
}
