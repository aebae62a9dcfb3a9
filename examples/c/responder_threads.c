/* An ICMP responder, generation 2, with threads: a slave of two queues each way. Connections are the main thread's;
 * queue 0 has a thread that polls, queue 1 one that sleeps until it is interrupted. Ctrl+C ends it.
 *
 *   responder_threads SOCKET ADDRESS [ID]
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "burst.h"

enum
{
  queues = 2,
  patience = 100 /* milliseconds until an idle thread looks whether it is to end */
};

static memif_conn_handle_t conn;
static icmp_host_t host;
static atomic_int stopped;
static unsigned long answered[queues]; /* each of one thread, until it is joined */

static void
stop (int number)
{
  (void) number;
  atomic_store_explicit (&stopped, 1, memory_order_relaxed);
  memif_cancel_poll_event ();
}

static int
ended (void)
{
  return atomic_load_explicit (&stopped, memory_order_relaxed);
}

static int
on_connect (memif_conn_handle_t connection, void *context)
{
  (void) context;
  puts ("connected");
  int err = memif_set_rx_mode (connection, MEMIF_RX_MODE_POLLING, 0);
  for (uint16_t qid = 0; qid < queues && err == MEMIF_ERR_SUCCESS; qid++)
    err = memif_refill_queue (connection, qid, UINT16_MAX, 0);
  return err;
}

static int
on_disconnect (memif_conn_handle_t connection, void *context)
{
  (void) connection, (void) context;
  puts ("disconnected");
  return 0;
}

/* While there is no link, all calls say so; the thread stays. */
static void
wait_a_little (void)
{
  poll (NULL, 0, 10);
}

static void *
poll_queue (void *argument)
{
  (void) argument;
  while (!ended ())
    {
      if (answer_burst (conn, 0, &host, &answered[0]) == MEMIF_ERR_DISCONNECTED)
        wait_a_little ();
      else
        sched_yield ();
    }
  return NULL;
}

static void *
await_interrupts (void *argument)
{
  (void) argument;
  while (!ended ())
    {
      struct pollfd event = { .events = POLLIN };
      if (memif_get_queue_efd (conn, 1, &event.fd) != MEMIF_ERR_SUCCESS)
        wait_a_little ();
      else if (poll (&event, 1, patience) == 1)
        answer_burst (conn, 1, &host, &answered[1]);
    }
  return NULL;
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
  int err = memif_init (NULL, "responder-threads", NULL, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_init", err);
  signal (SIGINT, stop);
  signal (SIGTERM, stop);

  memif_conn_args_t args = { .socket_filename = (uint8_t *) argv[1], .num_s2m_rings = queues, .num_m2s_rings = queues };
  args.interface_id = argc > 3 ? (uint32_t) strtoul (argv[3], NULL, 0) : 0;
  err = memif_create (&conn, &args, on_connect, on_disconnect, NULL, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return failed ("memif_create", err);
  pthread_t threads[queues];
  pthread_create (&threads[0], NULL, poll_queue, NULL);
  pthread_create (&threads[1], NULL, await_interrupts, NULL);
  while (!ended ())
    memif_poll_event (-1);
  for (int i = 0; i < queues; i++)
    pthread_join (threads[i], NULL);
  printf ("%lu answered by polling, %lu on interrupts\n", answered[0], answered[1]);
  memif_delete (&conn);
  memif_cleanup ();
  return EXIT_SUCCESS;
}
