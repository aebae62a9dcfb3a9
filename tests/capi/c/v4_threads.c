/* Generation 4: control calls on one thread while another one polls, as bindings of other languages make them. */
#include "v4.h"

static void *
poll_until_cancelled (void *sock)
{
  int err;
  while ((err = memif_poll_event (sock, -1)) == MEMIF_ERR_SUCCESS)
    ;
  CHECK_ERR (err, MEMIF_ERR_POLL_CANCEL);
  return NULL;
}

/* A lock of the program's, held during memif_create and taken in callbacks. */
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;

typedef struct
{
  memif_conn_handle_t conn;
  int connects, disconnects; /* under the lock */
} entry_t;

static int
registered_connect (memif_conn_handle_t conn, void *ctx)
{
  entry_t *entry = ctx;
  pthread_mutex_lock (&registry);
  CHECK (entry->conn == conn);
  entry->connects++;
  pthread_mutex_unlock (&registry);
  return memif_refill_queue (conn, 0, -1, 0);
}

static int
registered_disconnect (memif_conn_handle_t conn, void *ctx)
{
  entry_t *entry = ctx;
  (void) conn;
  pthread_mutex_lock (&registry);
  entry->disconnects++;
  pthread_mutex_unlock (&registry);
  return 0;
}

static int
registered_interrupt (memif_conn_handle_t conn, void *ctx, uint16_t qid)
{
  memif_buffer_t bufs[16];
  uint16_t n = 0;
  (void) ctx;
  memif_rx_burst (conn, qid, bufs, 16, &n);
  memif_refill_queue (conn, qid, n, 0);
  return 0;
}

static void
create_registered (entry_t *entry, memif_socket_handle_t sock, int master, uint32_t id)
{
  memif_conn_args_t args = { .socket = sock, .is_master = (uint8_t) master, .interface_id = id, .log2_ring_size = 4 };
  pthread_mutex_lock (&registry);
  OK (memif_create (&entry->conn, &args, registered_connect, registered_disconnect, registered_interrupt, entry));
  pthread_mutex_unlock (&registry);
}

static int
connects_of (entry_t *entry)
{
  pthread_mutex_lock (&registry);
  const int connects = entry->connects;
  pthread_mutex_unlock (&registry);
  return connects;
}

static void
interfaces_come_and_go_while_another_thread_polls (void)
{
  end_t master = { 0 }, slave = { 0 };
  const char *path = unique_path ();
  open_socket (&master, path, "m");
  open_socket (&slave, path, "s");
  OK (memif_set_connection_request_timer (slave.sock, (struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }));
  pthread_t pollers[2];
  CHECK (pthread_create (&pollers[0], NULL, poll_until_cancelled, master.sock) == 0);
  CHECK (pthread_create (&pollers[1], NULL, poll_until_cancelled, slave.sock) == 0);
  for (int round = 0; round < 50; round++)
    {
      enum
      {
        links = 3
      };
      entry_t masters[links] = { 0 }, slaves[links] = { 0 };
      for (uint32_t id = 0; id < links; id++)
        {
          create_registered (&masters[id], master.sock, 1, id);
          create_registered (&slaves[id], slave.sock, 0, id);
        }
      for (int id = 0; id < links; id++)
        {
          if (round % 2 == 0) /* else they may go in the middle of a handshake */
            UNTIL (connects_of (&masters[id]) && connects_of (&slaves[id]), usleep (100));
          if (round % 4 == 0)
            CHECK (send_marked (slaves[id].conn, 4, 100, 1) == 4);
          entry_t *first = round % 3 == 0 ? masters : slaves, *second = round % 3 == 0 ? slaves : masters;
          OK (memif_delete (&first[id].conn));
          OK (memif_delete (&second[id].conn));
          /* Nobody calls back for what is gone. */
          CHECK (masters[id].connects == masters[id].disconnects && slaves[id].connects == slaves[id].disconnects);
        }
    }
  OK (memif_cancel_poll_event (master.sock));
  OK (memif_cancel_poll_event (slave.sock));
  for (int i = 0; i < 2; i++)
    CHECK (pthread_join (pollers[i], NULL) == 0);
  close_end (&slave);
  close_end (&master);
}

/* A queue is for one thread at a time, but one thread may take over from another at any moment: nothing is received
 * twice, nothing is lost, and no state of the library's is torn. */
enum
{
  all_packets = 12000
};

typedef struct
{
  memif_conn_handle_t conn;
  int *total;
  unsigned char *seen;
  pthread_barrier_t *start;
} taker_t;

static void *
take_packets (void *ctx)
{
  const taker_t *taker = ctx;
  memif_buffer_t bufs[2];
  pthread_barrier_wait (taker->start);
  UNTIL (__atomic_load_n (taker->total, __ATOMIC_RELAXED) >= all_packets, {
    uint16_t n = 0;
    const int err = memif_rx_burst (taker->conn, 0, bufs, 2, &n);
    CHECK (err == MEMIF_ERR_SUCCESS || err == MEMIF_ERR_NOBUF);
    for (int i = 0; i < n; i++)
      {
        uint32_t number;
        memcpy (&number, bufs[i].data, sizeof number);
        CHECK (number < all_packets && __atomic_fetch_add (&taker->seen[number], 1, __ATOMIC_RELAXED) == 0);
      }
    __atomic_fetch_add (taker->total, n, __ATOMIC_RELAXED);
  });
  return NULL;
}

static void
threads_that_share_a_queue_take_each_packet_once (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 14, .buffer_size = 64 });
  OK (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_POLLING, 0));
  pthread_barrier_t start;
  CHECK (pthread_barrier_init (&start, NULL, 3) == 0);
  for (int round = 0; round < 10; round++)
    {
      for (uint32_t number = 0; number < all_packets; number++)
        {
          memif_buffer_t buf;
          uint16_t n = 0;
          OK (memif_buffer_alloc (pair.slave.conn, 0, &buf, 1, &n, sizeof number));
          memcpy (buf.data, &number, sizeof number);
          OK (memif_tx_burst (pair.slave.conn, 0, &buf, 1, &n));
        }
      static unsigned char seen[all_packets];
      memset (seen, 0, sizeof seen);
      int total = 0;
      taker_t taker = { pair.master.conn, &total, seen, &start };
      pthread_t takers[3];
      for (int i = 0; i < 3; i++)
        CHECK (pthread_create (&takers[i], NULL, take_packets, &taker) == 0);
      for (int i = 0; i < 3; i++)
        CHECK (pthread_join (takers[i], NULL) == 0);
      CHECK (total == all_packets);
      OK (memif_refill_queue (pair.master.conn, 0, -1, 0));
    }
  pthread_barrier_destroy (&start);
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (threads_that_share_a_queue_take_each_packet_once),
  CASE (interfaces_come_and_go_while_another_thread_polls),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
