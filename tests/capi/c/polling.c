/* Sends and receives in polling mode between two marks that a system call trace shows. */
#include "check.h"

static int connects;

static int
on_connect (memif_conn_handle_t conn, void *ctx)
{
  (void) ctx;
  connects++;
  OK (memif_refill_queue (conn, 0, -1, 0));
  OK (memif_set_rx_mode (conn, MEMIF_RX_MODE_POLLING, 0));
  return 0;
}

static void
mark (const char *text)
{
  CHECK (write (-1, text, strlen (text)) < 0);
}

int
main (void)
{
  memif_socket_handle_t sock[2] = { NULL };
  memif_conn_handle_t conn[2] = { NULL };
  memif_socket_args_t socket_args = { 0 };
  snprintf (socket_args.path, sizeof socket_args.path, "%s", unique_path ());
  for (int i = 0; i < 2; i++)
    {
      OK (memif_create_socket (&sock[i], &socket_args, NULL));
      memif_conn_args_t args = { .socket = sock[i], .is_master = i == 0 };
      OK (memif_create (&conn[i], &args, on_connect, NULL, NULL, NULL));
    }
  UNTIL (connects == 2, {
    OK (memif_poll_event (sock[0], 1));
    OK (memif_poll_event (sock[1], 1));
  });
  memif_buffer_t bufs[64];
  uint16_t n, sent;
  for (int round = 0; round < 1000; round++)
    {
      if (round == 2)
        mark ("mark-begin");
      for (int from = 0; from < 2; from++)
        {
          memif_buffer_alloc (conn[from], 0, bufs, 40, &n, 64);
          memif_tx_burst (conn[from], 0, bufs, n, &sent);
          memif_rx_burst (conn[!from], 0, bufs, 32, &n);
          memif_refill_queue (conn[!from], 0, n, 0);
          memif_rx_burst (conn[!from], 0, bufs, 64, &n);
          memif_refill_queue (conn[!from], 0, n, 0);
          memif_rx_burst (conn[!from], 0, bufs, 64, &n);
        }
    }
  mark ("mark-end");
  return 0;
}
