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

/* on_connect refills a queue on the thread that polls, while the queue's worker is at it already: each packet comes
 * once and in order, and each buffer goes back once. */
enum
{
  packets_a_link = 500
};

typedef struct
{
  memif_conn_handle_t conn;
  int links, taken; /* taken: of the present link; the worker alone writes it while there is one */
  int stop;
} worker_t;

static void *
take_and_refill (void *ctx)
{
  worker_t *worker = ctx;
  while (!__atomic_load_n (&worker->stop, __ATOMIC_ACQUIRE))
    {
      memif_buffer_t bufs[4];
      uint16_t n = 0;
      const int err = memif_rx_burst (worker->conn, 0, bufs, 4, &n);
      CHECK (err == MEMIF_ERR_SUCCESS || err == MEMIF_ERR_NOBUF || err == MEMIF_ERR_DISCONNECTED);
      for (int i = 0; i < n; i++)
        {
          int number;
          memcpy (&number, bufs[i].data, sizeof number);
          CHECK (number == worker->taken + i);
        }
      if (n != 0)
        OK (memif_refill_queue (worker->conn, 0, n, 0));
      __atomic_fetch_add (&worker->taken, n, __ATOMIC_RELEASE);
    }
  return NULL;
}

static int
refill_beside_the_worker (memif_conn_handle_t conn, void *ctx)
{
  worker_t *worker = ctx;
  for (int i = 0; i < 16; i++)
    OK (memif_refill_queue (conn, 0, 1, 0));
  worker->links++;
  return 0;
}

static int
ignore (memif_conn_handle_t conn, void *ctx)
{
  (void) conn, (void) ctx;
  return 0;
}

static void
a_worker_goes_on_while_on_connect_refills_its_queue (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  OK (memif_set_connection_request_timer (pair.slave.sock, (struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }));
  worker_t worker = { 0 };
  memif_conn_args_t args = { .socket = pair.slave.sock, .log2_ring_size = 4 };
  OK (memif_create (&worker.conn, &args, refill_beside_the_worker, ignore, NULL, &worker));
  OK (memif_set_rx_mode (worker.conn, MEMIF_RX_MODE_POLLING, 0));
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, take_and_refill, &worker) == 0);
  for (int link = 1; link <= 50; link++)
    {
      create_end (&pair.master, (memif_conn_args_t){ .log2_ring_size = 4 }, 1);
      UNTIL (worker.links == link && pair.master.connects == link, poll_both (&pair));
      for (int number = 0; number < packets_a_link;)
        {
          memif_buffer_t buf;
          uint16_t n = 0, sent = 0;
          if (memif_buffer_alloc (pair.master.conn, 0, &buf, 1, &n, sizeof number) != MEMIF_ERR_SUCCESS)
            continue;
          memcpy (buf.data, &number, sizeof number);
          OK (memif_tx_burst (pair.master.conn, 0, &buf, 1, &sent));
          number += sent;
        }
      UNTIL (__atomic_load_n (&worker.taken, __ATOMIC_ACQUIRE) == packets_a_link, usleep (100));
      OK (memif_delete (&pair.master.conn));
      __atomic_store_n (&worker.taken, 0, __ATOMIC_RELEASE);
    }
  __atomic_store_n (&worker.stop, 1, __ATOMIC_RELEASE);
  CHECK (pthread_join (thread, NULL) == 0);
  OK (memif_delete (&worker.conn));
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (a_worker_goes_on_while_on_connect_refills_its_queue),
  CASE (interfaces_come_and_go_while_another_thread_polls),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
