/* What programs depend on, in the generation that GENERATION names; compiled once for each. */
#include "both_ends.h"

#include <pthread.h>
#include <sys/wait.h>

/* A refused connection is no error. Later tries come from the timer: of two seconds, or (4) if there is one. */
static void
slaves_try_at_once_and_then_by_the_timer (void)
{
  connect_both ();
  CHECK (slave.disconnects == 0);
  OK (memif_delete (&slave.conn));
  OK (memif_delete (&master.conn));
  slave = master = (end_t){ 0 };
  create (&slave, 0, NULL);
  CHECK (slave.conn != NULL);
  create (&master, 1, NULL);
#if GENERATION == 40
  for (int i = 0; i < 20; i++)
    OK (poll_for (1));
  CHECK (slave.connects == 0);
  OK (memif_set_connection_request_timer (sock, (struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }));
#endif
  UNTIL (master.connects && slave.connects, OK (poll_for (10)));
  end_both ();
}

#if GENERATION == 20
static void
slaves_can_receive_before_they_refill (void)
{
  post_on_connect = 0;
  connect_both ();
  memif_buffer_t bufs[17];
  uint16_t n = 9;
  CHECK (send_packets (master.conn, 17, 64) == 16);
  OK (memif_rx_burst (slave.conn, 0, bufs, 17, &n));
  CHECK (n == 16 && *(char *) bufs[15].data == 15);
  OK (refill (slave.conn, 0, n));
  CHECK (send_packets (master.conn, 17, 64) == 16);
  end_both ();
}

static void
slaves_that_refill_on_connect_are_left_alone (void)
{
  post_on_connect = 4;
  connect_both ();
  post_on_connect = -1;
  CHECK (send_packets (master.conn, 17, 64) == 4);
  end_both ();
}
#else
static void
slaves_have_posted_nothing_before_they_refill (void)
{
  post_on_connect = 0;
  connect_both ();
  post_on_connect = -1;
  memif_buffer_t bufs[4];
  uint16_t n = 9;
  CHECK_ERR (memif_buffer_alloc (master.conn, 0, bufs, 1, &n, 64), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 0);
  CHECK (send_packets (slave.conn, 1, 64) == 1); /* the other way needs nothing */
  OK (refill (slave.conn, 0, -1));
  CHECK (send_packets (master.conn, 4, 64) == 4);
  end_both ();
}
#endif

/* The ring has room for 16 buffers of 256 bytes. */
static void
packets_are_counted_and_chains_are_shown (void)
{
  connect_both ();
  end_t *ends[] = { &slave, &master };
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[32];
      uint16_t n = 0, sent = 0;
      OK (memif_buffer_alloc (ends[i]->conn, 0, bufs, 2, &n, 600));
      CHECK (n == 6);
      for (int k = 0; k < n; k++)
        {
          CHECK ((bufs[k].flags == MEMIF_BUFFER_FLAG_NEXT) == (k % 3 != 2));
          CHECK (bufs[k].len == (k % 3 != 2 ? 256 : 600 - 512));
        }
      CHECK_ERR (memif_buffer_alloc (ends[i]->conn, 0, bufs + 6, 4, &n, 600), MEMIF_ERR_NOBUF_RING);
      CHECK (n == 9); /* three whole packets, and none in part */
      OK (memif_tx_burst (ends[i]->conn, 0, bufs, 15, &sent));
      OK (memif_rx_burst (ends[1 - i]->conn, 0, bufs, 32, &n));
      CHECK (sent == 15 && n == 15 && bufs[14].len == 600 - 512 && bufs[14].flags == RECEIVED);
      OK (refill (ends[1 - i]->conn, 0, n));
      OK (memif_buffer_alloc (ends[i]->conn, 0, bufs, 2, &n, 600));
      OK (memif_tx_burst (ends[i]->conn, 0, bufs, 6, &sent));
      CHECK_ERR (memif_rx_burst (ends[1 - i]->conn, 0, bufs, 5, &n), MEMIF_ERR_NOBUF); /* room for one, not for both */
      CHECK (n == 3);
      OK (memif_rx_burst (ends[1 - i]->conn, 0, bufs, 5, &n));
      CHECK (n == 3);
      OK (refill (ends[1 - i]->conn, 0, 6));
    }
  end_both ();
}

static void
nobuf_keeps_the_event_and_all_else_consumes_it (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[6];
      uint16_t n = 9;
      int efd = -1;
      OK (memif_get_queue_efd (to[i]->conn, 0, &efd));
      OK (memif_rx_burst (to[i]->conn, 0, bufs, 6, &n));
      CHECK (n == 0 && !readable (efd));
      CHECK (send_packets (from[i]->conn, 10, 60) == 10 && readable (efd));
      CHECK_ERR (memif_rx_burst (to[i]->conn, 0, bufs, 6, &n), MEMIF_ERR_NOBUF);
      CHECK (n == 6 && *(char *) bufs[5].data == 5 && readable (efd));
      OK (memif_rx_burst (to[i]->conn, 0, bufs, 6, &n));
      CHECK (n == 4 && *(char *) bufs[3].data == 9 && !readable (efd));
      OK (refill (to[i]->conn, 0, 10));
    }
  end_both ();
}

static void
slaves_move_data_forward_and_lengths_are_checked (void)
{
  connect_both ();
  memif_buffer_t bufs[3], got[4];
  uint16_t n = 0, sent = 0;
  OK (memif_buffer_alloc (slave.conn, 0, bufs, 3, &n, 100));
  for (int i = 0; i < 3; i++)
    {
      bufs[i].data = (char *) bufs[i].data + 14;
      memset (bufs[i].data, 'a' + i, 100);
    }
  bufs[1].len = 256 - 13; /* one byte too many */
  CHECK_ERR (memif_tx_burst (slave.conn, 0, bufs, 3, &sent), MEMIF_ERR_INVAL_ARG);
  OK (memif_rx_burst (master.conn, 0, got, 4, &n));
  CHECK (sent == 1 && n == 1 && got[0].len == 100 && *(char *) got[0].data == 'a');
  bufs[1].len = 256 - 14;
  OK (memif_tx_burst (slave.conn, 0, bufs + 1, 2, &sent));
  OK (memif_rx_burst (master.conn, 0, got, 4, &n));
  CHECK (sent == 2 && n == 2 && got[0].len == 242 && *(char *) got[1].data == 'c');
  OK (refill (master.conn, 0, -1));
  OK (memif_buffer_alloc (master.conn, 0, bufs, 2, &n, 100));
  bufs[1].len = 257;
  CHECK_ERR (memif_tx_burst (master.conn, 0, bufs, 2, &sent), MEMIF_ERR_INVAL_ARG);
  OK (memif_rx_burst (slave.conn, 0, got, 4, &n));
  CHECK (sent == 1 && n == 1);
  end_both ();
}

/* Programs read them from there afterwards. */
static void
defaults_are_filled_in (void)
{
  start_at (unique_path ());
  memif_conn_handle_t one = NULL, other = NULL;
  memif_conn_args_t args = placed ((memif_conn_args_t){ .interface_id = 1, .is_master = 1 });
  OK (memif_create (&one, &args, on_connect, on_disconnect, NULL, NULL));
  CHECK (args.buffer_size == 2048 && args.log2_ring_size == 10);
  CHECK (args.num_s2m_rings == 1 && args.num_m2s_rings == 1);
  args
      = placed ((memif_conn_args_t){ .buffer_size = 300, .log2_ring_size = 3, .num_s2m_rings = 2, .num_m2s_rings = 4 });
  OK (memif_create (&other, &args, on_connect, on_disconnect, NULL, NULL));
  CHECK (args.buffer_size == 300 && args.log2_ring_size == 3);
  CHECK (args.num_s2m_rings == 2 && args.num_m2s_rings == 4);
  OK (memif_delete (&one));
  OK (memif_delete (&other));
  OK (stop ());
}

/* A worker has packets and buffers of a link that goes, while the thread that polls gets the queues ready for the next
 * one. It hears once, by its next call on each queue, and may use what it has until the one after that. */
typedef struct
{
  memif_conn_handle_t conn;
  int refills; /* first of all, else it receives */
  int stage;   /* 1: it has packets, 2: there is another link */
} holder_t;

#define STAGE(holder) __atomic_load_n (&(holder)->stage, __ATOMIC_ACQUIRE)
#define NEXT_STAGE(holder) __atomic_fetch_add (&(holder)->stage, 1, __ATOMIC_RELEASE)

static void
use_what_there_is (memif_buffer_t *received, memif_buffer_t *allocated)
{
  for (int i = 0; i < 3; i++)
    {
      CHECK (*(volatile uint8_t *) received[i].data == 7 + i);
      *(volatile uint8_t *) allocated[i].data = 1;
    }
}

static void *
hold_packets (void *ctx)
{
  holder_t *holder = ctx;
  memif_conn_handle_t conn = holder->conn;
  memif_buffer_t received[3], allocated[6];
  uint16_t n = 0;
  UNTIL (n == 3, OK (memif_rx_burst (conn, 0, received, 3, &n)));
  OK (memif_buffer_alloc (conn, 0, allocated, 3, &n, 64));
  CHECK (n == 3);
  NEXT_STAGE (holder);
  UNTIL (STAGE (holder) == 2, poll (NULL, 0, 1));
  for (int look = 0; look < 50; look++, poll (NULL, 0, 1))
    use_what_there_is (received, allocated);
  if (holder->refills)
    CHECK_ERR (refill (conn, 0, 1), MEMIF_ERR_DISCONNECTED);
  else
    CHECK_ERR (memif_rx_burst (conn, 0, received, 3, &n), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_buffer_alloc (conn, 0, allocated + 3, 3, &n, 64), MEMIF_ERR_DISCONNECTED);
  CHECK (n == 0);
  use_what_there_is (received, allocated);
  OK (memif_rx_burst (conn, 0, received, 3, &n));
  OK (memif_buffer_alloc (conn, 0, allocated, 3, &n, 64));
  CHECK (n == 3);
  return NULL;
}

static void
what_a_worker_has_outlives_its_link (end_t *end, end_t *peer, int refills)
{
  connect_both ();
#if GENERATION == 40
  OK (memif_set_connection_request_timer (sock, (struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }));
#endif
  CHECK (send_marked (peer->conn, 3, 64, 7) == 3);
#if GENERATION == 20
  post_on_connect = 0; /* the library does */
#endif
  holder_t holder = { .conn = end->conn, .refills = refills };
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, hold_packets, &holder) == 0);
  UNTIL (STAGE (&holder) == 1, poll (NULL, 0, 1));
  OK (memif_delete (&peer->conn));
  UNTIL (end->disconnects == 1, OK (poll_for (10)));
  *peer = (end_t){ 0 };
  create (peer, peer == &master, NULL);
  UNTIL (end->connects == 2 && peer->connects == 1, OK (poll_for (10)));
  NEXT_STAGE (&holder);
  CHECK (pthread_join (thread, NULL) == 0);
  post_on_connect = -1;
  end_both ();
}

static int stop_worker;

static void *
use_queues (void *ctx)
{
  end_t *end = ctx;
  while (!__atomic_load_n (&stop_worker, __ATOMIC_ACQUIRE))
    {
      memif_buffer_t bufs[8];
      uint16_t n = 0, sent = 0;
      memif_rx_burst (end->conn, 0, bufs, 8, &n);
      refill (end->conn, 0, n);
      if (memif_buffer_alloc (end->conn, 0, bufs, 4, &n, 64) != MEMIF_ERR_DISCONNECTED)
        memif_tx_burst (end->conn, 0, bufs, n, &sent);
    }
  return NULL;
}

/* Sends and never ends. */
static void
be_the_peer (const char *at)
{
  end_with_the_parent ();
  start_at (at);
  create (&slave, 0, NULL);
  for (;;)
    {
      OK (poll_for (1));
      if (slave.connects)
        send_packets (slave.conn, 8, 64);
    }
}

/* The peer is another process, which is killed. */
static void
handles_outlive_the_peer_and_workers_survive (char *const program[])
{
  pthread_t thread;
  master = (end_t){ 0 };
  const char *at = unique_path ();
  start_at (at);
  create (&master, 1, NULL);
  CHECK (pthread_create (&thread, NULL, use_queues, &master) == 0);
  for (int round = 1; round <= 3; round++)
    {
      const pid_t child = start_peer (program, at, STDOUT_FILENO);
      UNTIL (master.connects == round, OK (poll_for (10)));
      for (int i = 0; i < 20; i++)
        OK (poll_for (1));
      CHECK (kill (child, SIGKILL) == 0 && waitpid (child, NULL, 0) == child);
      UNTIL (master.disconnects == round, OK (poll_for (10)));
    }
  __atomic_store_n (&stop_worker, 1, __ATOMIC_RELEASE);
  CHECK (pthread_join (thread, NULL) == 0);
  memif_buffer_t buf;
  uint16_t n = 9;
  int fd;
  CHECK_ERR (memif_rx_burst (master.conn, 0, &buf, 1, &n), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_tx_burst (master.conn, 0, &buf, 1, &n), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_buffer_alloc (master.conn, 0, &buf, 1, &n, 64), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (refill (master.conn, 0, 1), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_get_queue_efd (master.conn, 0, &fd), MEMIF_ERR_DISCONNECTED);
  OK (memif_delete (&master.conn));
  OK (stop ());
}

int
main (int argc, char *argv[])
{
  if (argc == 2)
    be_the_peer (argv[1]);
  slaves_try_at_once_and_then_by_the_timer ();
#if GENERATION == 20
  slaves_can_receive_before_they_refill ();
  slaves_that_refill_on_connect_are_left_alone ();
#else
  slaves_have_posted_nothing_before_they_refill ();
#endif
  packets_are_counted_and_chains_are_shown ();
  nobuf_keeps_the_event_and_all_else_consumes_it ();
  slaves_move_data_forward_and_lengths_are_checked ();
  defaults_are_filled_in ();
  for (int refills = 0; refills < 2; refills++)
    {
      what_a_worker_has_outlives_its_link (&slave, &master, refills);
      what_a_worker_has_outlives_its_link (&master, &slave, refills);
    }
  handles_outlive_the_peer_and_workers_survive (argv);
  return 0;
}
