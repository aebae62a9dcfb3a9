/* Generation 4: programs that let several threads loose on one queue. Packets may be mixed up, since one thread sends
 * what another one has allocated; but the library's memory and the link are as sound as ever. */
#include "v4.h"

enum
{
  threads_a_queue = 3,
  buffer_size = 256,
  most = 40
};

typedef struct
{
  memif_conn_handle_t conn;
  int touch; /* read and write the packets: while their link lasts, they are there */
  int *stop; /* atomic */
  unsigned long moved;
} careless_t;

static int
is_usual (int err)
{
  return err == MEMIF_ERR_SUCCESS || err == MEMIF_ERR_NOBUF || err == MEMIF_ERR_NOBUF_RING || err == MEMIF_ERR_INVAL_ARG
         || err == MEMIF_ERR_DISCONNECTED;
}

static void *
send_carelessly (void *ctx)
{
  careless_t *careless = ctx;
  memif_buffer_t bufs[most];
  for (unsigned turn = 0; !__atomic_load_n (careless->stop, __ATOMIC_RELAXED); turn++)
    {
      uint16_t n = 0, sent = 0;
      CHECK (is_usual (memif_buffer_alloc (careless->conn, 0, bufs, 1 + turn % 8, &n, (uint16_t) (1 + turn % 700))));
      CHECK (n <= most);
      for (int i = 0; i < n && careless->touch; i++)
        memset (bufs[i].data, i, bufs[i].len);
      CHECK (is_usual (memif_tx_burst (careless->conn, 0, bufs, n, &sent)));
      CHECK (sent <= n);
      careless->moved += sent;
    }
  return NULL;
}

static void *
receive_carelessly (void *ctx)
{
  careless_t *careless = ctx;
  memif_buffer_t bufs[most];
  unsigned sum = 0;
  for (unsigned turn = 0; !__atomic_load_n (careless->stop, __ATOMIC_RELAXED); turn++)
    {
      const uint16_t wanted = (uint16_t) (1 + turn % most);
      uint16_t n = 0;
      CHECK (is_usual (memif_rx_burst (careless->conn, 0, bufs, wanted, &n)));
      CHECK (n <= wanted);
      for (int i = 0; i < n; i++)
        {
          CHECK (bufs[i].len >= 1 && bufs[i].len <= buffer_size);
          if (careless->touch)
            sum += ((volatile uint8_t *) bufs[i].data)[bufs[i].len - 1];
        }
      CHECK (is_usual (memif_refill_queue (careless->conn, 0, turn % 16 == 0 ? (uint16_t) -1 : n, 0)));
      careless->moved += n;
    }
  return (void *) (uintptr_t) sum;
}

/* Several of each on both queues of an end. */
typedef struct
{
  careless_t each[2 * threads_a_queue];
  pthread_t threads[2 * threads_a_queue];
  int stop;
} crowd_t;

static void
let_loose (crowd_t *crowd, memif_conn_handle_t conn, int touch)
{
  for (int i = 0; i < 2 * threads_a_queue; i++)
    {
      crowd->each[i] = (careless_t){ .conn = conn, .touch = touch, .stop = &crowd->stop };
      CHECK (
          pthread_create (&crowd->threads[i], NULL, i % 2 == 0 ? send_carelessly : receive_carelessly, &crowd->each[i])
          == 0);
    }
}

static unsigned long
call_off (crowd_t *crowd)
{
  unsigned long moved = 0;
  __atomic_store_n (&crowd->stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 2 * threads_a_queue; i++)
    {
      CHECK (pthread_join (crowd->threads[i], NULL) == 0);
      moved += crowd->each[i].moved;
    }
  return moved;
}

static void
a_link_outlasts_a_crowd (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 5, .buffer_size = buffer_size });
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  crowd_t on_master = { 0 }, on_slave = { 0 };
  let_loose (&on_master, pair.master.conn, 1);
  let_loose (&on_slave, pair.slave.conn, 1);
  for (int i = 0; i < 300; i++)
    poll_both (&pair);
  CHECK (call_off (&on_master) != 0 && call_off (&on_slave) != 0);
  for (int i = 0; i < 10; i++)
    poll_both (&pair);
  CHECK (pair.master.disconnects == 0 && pair.slave.disconnects == 0);
  /* And one that takes care of it goes on as if nothing had been: all is given back, nothing is allocated. */
  memif_conn_handle_t ends[] = { pair.master.conn, pair.slave.conn };
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[64];
      uint16_t n = 0;
      OK (memif_rx_burst (ends[i], 0, bufs, 64, &n));
      OK (memif_refill_queue (ends[i], 0, -1, 0));
    }
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[64];
      uint16_t n = 0;
      if (memif_buffer_alloc (ends[i], 0, bufs, 1, &n, 1) != MEMIF_ERR_SUCCESS)
        continue; /* all of the ring is allocated by threads that are gone */
      CHECK (n == 1);
      OK (memif_set_next_free_buffer (ends[i], 0, &bufs[0]));
    }
  close_pair (&pair);
}

static void
links_come_and_go_under_a_crowd (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  OK (memif_set_connection_request_timer (pair.slave.sock, (struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }));
  const memif_conn_args_t args = { .log2_ring_size = 5, .buffer_size = buffer_size };
  create_end (&pair.slave, args, 0);
  crowd_t crowd = { 0 };
  let_loose (&crowd, pair.slave.conn, 0);
  for (int link = 1; link <= 50; link++)
    {
      create_end (&pair.master, args, 1);
      UNTIL (pair.slave.connects == link && pair.master.connects == link, poll_both (&pair));
      for (int i = 0; i < 5; i++)
        {
          memif_buffer_t bufs[64];
          uint16_t n = 0;
          CHECK (is_usual (memif_rx_burst (pair.master.conn, 0, bufs, 64, &n)));
          OK (memif_refill_queue (pair.master.conn, 0, n, 0));
          send_packets (pair.master.conn, 16, 100);
          poll_both (&pair);
        }
      CHECK (pair.master.disconnects == link - 1);
      OK (memif_delete (&pair.master.conn));
      UNTIL (pair.slave.disconnects == link, poll_both (&pair));
    }
  call_off (&crowd);
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (a_link_outlasts_a_crowd),
  CASE (links_come_and_go_under_a_crowd),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
