/* An ICMP responder, generation 2: a slave, with the library polling. Ctrl+C ends it.
 *
 *   responder SOCKET ADDRESS [ID]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "burst.h"

typedef struct
{
  memif_conn_handle_t conn;
  icmp_host_t host;
  unsigned long answered;
} responder_t;

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
  responder_t *responder = context;
  return answer_burst (conn, qid, &responder->host, &responder->answered);
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
  responder_t responder = { .conn = NULL };
  if (argc < 3 || icmp_host (&responder.host, argv[2]) != 0)
    {
      fprintf (stderr, "usage: %s SOCKET ADDRESS [ID]\n", argv[0]);
      return 2;
    }
  setvbuf (stdout, NULL, _IOLBF, 0);
  int err = memif_init (NULL, "responder", NULL, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_init", err);
  signal (SIGINT, stop);
  signal (SIGTERM, stop);

  memif_conn_args_t args = { .socket_filename = (uint8_t *) argv[1] };
  args.interface_id = argc > 3 ? (uint32_t) strtoul (argv[3], NULL, 0) : 0;
  err = memif_create (&responder.conn, &args, on_connect, on_disconnect, on_interrupt, &responder);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_create", err);
  while (!stopped)
    {
      err = memif_poll_event (-1);
      if (err != MEMIF_ERR_SUCCESS && err != MEMIF_ERR_POLL_CANCEL)
        return failed ("memif_poll_event", err);
    }
  printf ("%lu answered\n", responder.answered);
  memif_delete (&responder.conn);
  memif_cleanup ();
  return EXIT_SUCCESS;
}
