/* A loopback, generation 4: a master and a slave in one program, joined to each other. The master sends numbered
 * packets, the slave sends each back, and what comes back is compared.
 *
 *   loopback SOCKET [PACKETS]
 */
#include <libmemif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  burst = 32,
  packet_size = 64,
  patience = 5000 /* milliseconds */
};

typedef struct
{
  memif_socket_handle_t sock;
  memif_conn_handle_t conn;
  int connected;
} end_t;

static int
on_connect (memif_conn_handle_t conn, void *context)
{
  ((end_t *) context)->connected = 1;
  return memif_refill_queue (conn, 0, UINT16_MAX, 0);
}

static int
on_disconnect (memif_conn_handle_t conn, void *context)
{
  (void) conn;
  ((end_t *) context)->connected = 0;
  return 0;
}

static void
check (const char *what, int err)
{
  if (err == MEMIF_ERR_SUCCESS)
    return;
  fprintf (stderr, "%s: %s\n", what, memif_strerror (err));
  exit (EXIT_FAILURE);
}

static void
open_end (end_t *end, const char *path, int master)
{
  memif_socket_args_t socket_args = { .app_name = "loopback" };
  snprintf (socket_args.path, sizeof socket_args.path, "%s", path);
  check ("memif_create_socket", memif_create_socket (&end->sock, &socket_args, NULL));
  memif_conn_args_t args = { .socket = end->sock, .is_master = (uint8_t) master };
  check ("memif_create", memif_create (&end->conn, &args, on_connect, on_disconnect, NULL, end));
}

static void
close_end (end_t *end)
{
  check ("memif_delete", memif_delete (&end->conn));
  check ("memif_delete_socket", memif_delete_socket (&end->sock));
}

static uint16_t
send_numbers (end_t *end, unsigned long first, uint16_t count)
{
  memif_buffer_t bufs[burst];
  uint16_t n = 0, sent = 0;
  const int err = memif_buffer_alloc (end->conn, 0, bufs, count, &n, packet_size);
  check ("memif_buffer_alloc", err == MEMIF_ERR_NOBUF_RING ? MEMIF_ERR_SUCCESS : err);
  for (uint16_t i = 0; i < n; i++)
    {
      const unsigned long number = first + i;
      memset (bufs[i].data, (int) (number & 0xff), packet_size);
      memcpy (bufs[i].data, &number, sizeof number);
    }
  check ("memif_tx_burst", memif_tx_burst (end->conn, 0, bufs, n, &sent));
  return sent;
}

static uint16_t
take (end_t *end, memif_buffer_t *bufs)
{
  uint16_t n = 0;
  const int err = memif_rx_burst (end->conn, 0, bufs, burst, &n);
  check ("memif_rx_burst", err == MEMIF_ERR_NOBUF ? MEMIF_ERR_SUCCESS : err);
  return n;
}

static void
give_back (end_t *end, uint16_t count)
{
  check ("memif_refill_queue", memif_refill_queue (end->conn, 0, count, 0));
}

/* The slave moves what it got to its transmit ring, without a copy. */
static void
return_all (end_t *end)
{
  memif_buffer_t bufs[burst];
  uint16_t moved = 0, sent = 0;
  const uint16_t n = take (end, bufs);
  check ("memif_buffer_enq_tx", memif_buffer_enq_tx (end->conn, 0, bufs, n, &moved));
  check ("memif_tx_burst", memif_tx_burst (end->conn, 0, bufs, moved, &sent));
  give_back (end, n);
}

static unsigned long
compare (end_t *end, unsigned long expected)
{
  memif_buffer_t bufs[burst];
  const uint16_t n = take (end, bufs);
  for (uint16_t i = 0; i < n; i++, expected++)
    {
      unsigned long number;
      memcpy (&number, bufs[i].data, sizeof number);
      if (bufs[i].len != packet_size || number != expected
          || ((uint8_t *) bufs[i].data)[packet_size - 1] != (number & 0xff))
        {
          fprintf (stderr, "packet %lu came back wrong\n", expected);
          exit (EXIT_FAILURE);
        }
    }
  give_back (end, n);
  return expected;
}

int
main (int argc, char **argv)
{
  if (argc < 2)
    {
      fprintf (stderr, "usage: %s SOCKET [PACKETS]\n", argv[0]);
      return 2;
    }
  const unsigned long packets = argc > 2 ? strtoul (argv[2], NULL, 0) : 1000000;
  end_t master = { .conn = NULL }, slave = { .conn = NULL };
  open_end (&master, argv[1], 1);
  open_end (&slave, argv[1], 0);
  for (int waited = 0; !master.connected || !slave.connected; waited++)
    {
      if (waited == patience)
        {
          fputs ("the ends do not find each other\n", stderr);
          return EXIT_FAILURE;
        }
      check ("memif_poll_event", memif_poll_event (master.sock, 1));
      check ("memif_poll_event", memif_poll_event (slave.sock, 1));
    }
  check ("memif_set_rx_mode", memif_set_rx_mode (master.conn, MEMIF_RX_MODE_POLLING, 0));
  check ("memif_set_rx_mode", memif_set_rx_mode (slave.conn, MEMIF_RX_MODE_POLLING, 0));

  unsigned long sent = 0, compared = 0;
  while (compared < packets)
    {
      const unsigned long left = packets - sent;
      sent += send_numbers (&master, sent, (uint16_t) (left < burst ? left : burst));
      return_all (&slave);
      compared = compare (&master, compared);
    }
  printf ("%lu packets there and back\n", compared);
  close_end (&slave);
  close_end (&master);
  return EXIT_SUCCESS;
}
