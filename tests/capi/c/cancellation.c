/* Threads that are cancelled (pthread_cancel), in the generation that GENERATION names: a thread ends where
 * memif_poll_event sleeps, and nowhere else in the library. */
#include "generations.h"

#include <pthread.h>

typedef struct
{
  memif_conn_handle_t conn;
  int up, interrupts;
} link_t;

static link_t master, slave;

static int
on_up (memif_conn_handle_t conn, void *ctx)
{
  CHECK (refill (conn, 0, -1) == MEMIF_ERR_SUCCESS);
  __atomic_store_n (&((link_t *) ctx)->up, 1, __ATOMIC_RELEASE);
  return 0;
}

static int
on_down (memif_conn_handle_t conn, void *ctx)
{
  (void) conn;
  __atomic_store_n (&((link_t *) ctx)->up, 0, __ATOMIC_RELEASE);
  return 0;
}

/* Has cancellation points of its own, as printing would be. */
static int
on_packets (memif_conn_handle_t conn, void *ctx, uint16_t qid)
{
  memif_buffer_t bufs[16];
  uint16_t n = 0;
  poll (NULL, 0, 0);
  OK (memif_rx_burst (conn, qid, bufs, 16, &n));
  poll (NULL, 0, 0);
  OK (refill (conn, qid, n));
  __atomic_add_fetch (&((link_t *) ctx)->interrupts, n, __ATOMIC_RELEASE);
  return 0;
}

static void
create (link_t *end, int as_master)
{
  const memif_conn_args_t args = { .is_master = (uint8_t) as_master, .log2_ring_size = 4 };
  *end = (link_t){ 0 };
  OK (create_with (&end->conn, args, on_up, on_down, on_packets, end));
}

static int
is_up (link_t *end)
{
  return __atomic_load_n (&end->up, __ATOMIC_ACQUIRE);
}

static void
send_one (memif_conn_handle_t conn)
{
  memif_buffer_t buf;
  uint16_t n = 0;
  OK (memif_buffer_alloc (conn, 0, &buf, 1, &n, 64));
  memset (buf.data, 1, buf.len);
  OK (memif_tx_burst (conn, 0, &buf, 1, &n));
}

static void *
poll_for_ever (void *unused)
{
  (void) unused;
  while (1)
    OK (poll_for (-1));
}

static void
join_cancelled (pthread_t thread)
{
  void *result = NULL;
  CHECK (pthread_join (thread, &result) == 0);
  CHECK (result == PTHREAD_CANCELED);
}

static pthread_t
start_thread (void *(*body) (void *) )
{
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, body, NULL) == 0);
  return thread;
}

/* Most often it sleeps when this comes; wherever it is, everything works afterwards. */
static void
a_thread_that_polls_is_cancelled (void)
{
  for (int round = 0; round < 50; round++)
    {
      start_at (unique_path ());
      const pthread_t poller = start_thread (poll_for_ever);
      create (&master, 1);
      create (&slave, 0);
      if (round % 2 == 0)
        {
          UNTIL (is_up (&master) && is_up (&slave), poll (NULL, 0, 1));
          for (int i = 0; i < round / 4; i++)
            send_one (slave.conn);
        }
      CHECK (pthread_cancel (poller) == 0);
      join_cancelled (poller);
      UNTIL (is_up (&master) && is_up (&slave), OK (poll_for (10)));
      const int before = master.interrupts;
      send_one (slave.conn);
      UNTIL (master.interrupts > before, OK (poll_for (10)));
      OK (memif_delete (&slave.conn));
      OK (memif_delete (&master.conn));
      OK (stop ());
    }
}

static int got_here;

/* What is to be done when the thread is cancelled is done: up to the sleep, even one of no time. */
static void *
work_while_cancelled (void *unused)
{
  (void) unused;
  CHECK (pthread_cancel (pthread_self ()) == 0);
  memif_buffer_t bufs[4];
  uint16_t n = 0;
  send_one (slave.conn);
  OK (memif_rx_burst (master.conn, 0, bufs, 4, &n));
  OK (refill (master.conn, 0, -1));
  OK (memif_rx_burst (slave.conn, 0, bufs, 4, &n));
  OK (memif_delete (&slave.conn));
  create (&slave, 0);
  OK (cancel ());
  got_here = 1;
  poll_for (0);
  got_here = 2;
  return NULL;
}

static void
calls_of_a_cancelled_thread_are_finished (void)
{
  start_at (unique_path ());
  create (&master, 1);
  create (&slave, 0);
  UNTIL (is_up (&master) && is_up (&slave), OK (poll_for (10)));
  join_cancelled (start_thread (work_while_cancelled));
  CHECK (got_here == 1);
  CHECK_ERR (poll_for (0), MEMIF_ERR_POLL_CANCEL);
  UNTIL (is_up (&master) && is_up (&slave), OK (poll_for (10)));
  OK (memif_delete (&slave.conn));
  OK (memif_delete (&master.conn));
  OK (stop ());
}

int
main (void)
{
  a_thread_that_polls_is_cancelled ();
  calls_of_a_cancelled_thread_are_finished ();
  return 0;
}
