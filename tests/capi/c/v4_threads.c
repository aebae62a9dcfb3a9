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
      enum { links = 3 };
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
            CHECK (send_packets (slaves[id].conn, 4, 100, 1) == 4);
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

static const case_t cases[] = {
  CASE (interfaces_come_and_go_while_another_thread_polls),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
