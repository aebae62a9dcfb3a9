/* One side of a link between two generations in one process; compiled once against each. SIDE is the side's name. */
#include "check.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_ (a, b)
#define NAME(name) JOIN (SIDE, name)

static memif_conn_handle_t conn;
static int connected;

static int
on_connect (memif_conn_handle_t handle, void *ctx)
{
  (void) ctx;
  connected = 1;
  OK (memif_refill_queue (handle, 0, -1, 0));
  return 0;
}

#ifdef MEMIF_DEFAULT_SOCKET_PATH /* generation 2 */
void
NAME (_open) (const char *path, int master)
{
  OK (memif_init (NULL, "two", NULL, NULL));
  memif_conn_args_t args = { .socket_filename = (uint8_t *) path, .is_master = (uint8_t) master };
  OK (memif_create (&conn, &args, on_connect, NULL, NULL, NULL));
}

int
NAME (_poll) (void)
{
  OK (memif_poll_event (1));
  return connected;
}

void
NAME (_close) (void)
{
  connected = 0;
  OK (memif_delete (&conn));
  OK (memif_cleanup ());
}
#else
static memif_socket_handle_t sock;

void
NAME (_open) (const char *path, int master)
{
  memif_socket_args_t socket_args = { .app_name = "four" };
  snprintf (socket_args.path, sizeof socket_args.path, "%s", path);
  OK (memif_create_socket (&sock, &socket_args, NULL));
  memif_conn_args_t args = { .socket = sock, .is_master = (uint8_t) master };
  OK (memif_create (&conn, &args, on_connect, NULL, NULL, NULL));
}

int
NAME (_poll) (void)
{
  OK (memif_poll_event (sock, 1));
  return connected;
}

void
NAME (_close) (void)
{
  connected = 0;
  OK (memif_delete (&conn));
  OK (memif_delete_socket (&sock));
}
#endif

void
NAME (_send) (int value)
{
  memif_buffer_t buf;
  uint16_t n;
  OK (memif_buffer_alloc (conn, 0, &buf, 1, &n, sizeof value));
  memcpy (buf.data, &value, sizeof value);
  OK (memif_tx_burst (conn, 0, &buf, 1, &n));
  CHECK (n == 1);
}

int
NAME (_receive) (void)
{
  memif_buffer_t buf;
  uint16_t n = 0;
  int value = 0;
  UNTIL (n == 1, OK (memif_rx_burst (conn, 0, &buf, 1, &n)));
  memcpy (&value, buf.data, sizeof value);
#ifdef MEMIF_DEFAULT_SOCKET_PATH
  OK (memif_refill_queue (conn, 0, 1));
#else
  OK (memif_refill_queue (conn, 0, 1, 0));
#endif
  return value;
}
