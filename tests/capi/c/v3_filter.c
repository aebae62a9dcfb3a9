/* Generation 3, as programs use it that look into each packet and let it pass or not: a slave sends received buffers
 * back one at a time, and drops the others by taking the mark off that early 3.x had for received buffers. */
#define _GNU_SOURCE
#include <libmemif.h>

#include "check.h"

enum
{
  PACKETS = 30
};

typedef struct
{
  memif_conn_handle_t conn;
  int up;
} end_t;

static int
on_connect (memif_conn_handle_t conn, void *ctx)
{
  ((end_t *) ctx)->up = 1;
  OK (memif_refill_queue (conn, 0, -1, 0));
  return 0;
}

static int
on_disconnect (memif_conn_handle_t conn, void *ctx)
{
  (void) conn;
  ((end_t *) ctx)->up = 0;
  return 0;
}

static void
send_numbered (memif_conn_handle_t conn)
{
  memif_buffer_t bufs[PACKETS];
  uint16_t n, sent;
  OK (memif_buffer_alloc (conn, 0, bufs, PACKETS, &n, 100));
  CHECK (n == PACKETS);
  for (int i = 0; i < n; i++)
    {
      memset (bufs[i].data, i, bufs[i].len);
      bufs[i].flags |= MEMIF_BUFFER_FLAG_RX; /* says nothing of the packet: it is one buffer all the same */
    }
  OK (memif_tx_burst (conn, 0, bufs, n, &sent));
  CHECK (sent == n);
}

static int
passes (const memif_buffer_t *buf)
{
  return *(const uint8_t *) buf->data % 3 != 0;
}

/* What is dropped is given back by the count of what passes, and in the end by the rest. */
static void
filter (memif_conn_handle_t conn)
{
  memif_buffer_t bufs[PACKETS];
  uint16_t n, queued, sent;
  OK (memif_rx_burst (conn, 0, bufs, PACKETS, &n));
  CHECK (n == PACKETS);
  for (int i = 0; i < n; i++)
    {
      CHECK ((bufs[i].flags & MEMIF_BUFFER_FLAG_NEXT) == 0);
      if (!passes (&bufs[i]))
        {
          bufs[i].flags &= ~MEMIF_BUFFER_FLAG_RX;
          continue;
        }
      OK (memif_buffer_enq_tx (conn, 0, &bufs[i], 1, &queued));
      OK (memif_refill_queue (conn, 0, 1, 0));
      OK (memif_tx_burst (conn, 0, &bufs[i], 1, &sent));
      CHECK (queued == 1 && sent == 1);
    }
  OK (memif_refill_queue (conn, 0, -1, 0));
}

static void
take_what_passed (memif_conn_handle_t conn)
{
  memif_buffer_t bufs[PACKETS];
  uint16_t n;
  OK (memif_rx_burst (conn, 0, bufs, PACKETS, &n));
  CHECK (n == PACKETS * 2 / 3);
  for (int i = 0; i < n; i++)
    {
      const uint8_t *bytes = bufs[i].data;
      CHECK (bufs[i].len == 100 && bytes[0] == i / 2 * 3 + i % 2 + 1 && bytes[99] == bytes[0]);
      CHECK ((bufs[i].flags & MEMIF_BUFFER_FLAG_NEXT) == 0);
    }
  OK (memif_refill_queue (conn, 0, n, 0));
}

int
main (void)
{
  end_t master = { 0 }, slave = { 0 };
  memif_socket_handle_t sock = NULL, twin = NULL;
  memif_per_thread_main_handle_t instance = NULL;
  memif_conn_args_t args = { .log2_ring_size = 6 };
  OK (memif_init (NULL, NULL, NULL, NULL, NULL));
  OK (memif_per_thread_init (&instance, NULL, NULL, "filter", NULL, NULL, NULL));
  OK (memif_create_socket (&sock, unique_path (), NULL));
  OK (memif_per_thread_create_socket (instance, &twin, memif_get_socket_filename (sock), NULL));
  args.socket = sock;
  args.is_master = 1;
  OK (memif_create (&master.conn, &args, on_connect, on_disconnect, NULL, &master));
  args.socket = twin;
  args.is_master = 0;
  OK (memif_create (&slave.conn, &args, on_connect, on_disconnect, NULL, &slave));
  UNTIL (master.up && slave.up, {
    OK (memif_poll_event (1));
    OK (memif_per_thread_poll_event (instance, 1));
  });
  for (int round = 0; round < 100; round++) /* many times around a ring of 64 */
    {
      send_numbered (master.conn);
      filter (slave.conn);
      take_what_passed (master.conn);
    }
  OK (memif_per_thread_cleanup (&instance));
  OK (memif_cleanup ());
  return 0;
}
