/* The forms in which a socket may be named, in the generation that GENERATION names; compiled once for each. A master
 * listens at one form, a slave finds it by another. */
#include "generations.h"

static end_t master, slave;

#if GENERATION >= 30
static memif_socket_handle_t others;
#endif

/* From now on interfaces are at that name. */
static void
go_to (const char *name)
{
  path = name;
#if GENERATION == 30
  OK (memif_create_socket (&others, name, NULL));
#elif GENERATION == 40
  memif_socket_args_t args = { 0 };
  snprintf (args.path, sizeof args.path, "%s", name);
  OK (memif_create_socket (&others, &args, NULL));
#endif
#if GENERATION >= 30
  const memif_socket_handle_t first = sock;
  sock = others;
  others = first;
#endif
}

static void
turn (void)
{
  OK (poll_for (1));
#if GENERATION == 40
  OK (memif_poll_event (others, 1));
#endif
}

static void
meet (const char *listens_at, const char *connects_to)
{
  master = slave = (end_t){ 0 };
  start_at (listens_at);
  OK (create_with (&master.conn, (memif_conn_args_t){ .is_master = 1 }, on_connect, on_disconnect, NULL, &master));
  go_to (connects_to);
  OK (create_with (&slave.conn, (memif_conn_args_t){ .is_master = 0 }, on_connect, on_disconnect, NULL, &slave));
  UNTIL (master.connects && slave.connects, turn ());
  memif_buffer_t got;
  uint16_t n = 0;
  CHECK (send_packets (slave.conn, 1, 60) == 1);
  OK (memif_rx_burst (master.conn, 0, &got, 1, &n));
  CHECK (n == 1 && got.len == 60);
  OK (memif_delete (&slave.conn));
  OK (memif_delete (&master.conn));
#if GENERATION == 40
  OK (memif_delete_socket (&others));
#endif
  OK (stop ());
}

int
main (void)
{
  const char *const file = unique_path (), *const name = strrchr (file, '/') + 1;
  char abstract[128], at[128], prefixed[128];
  snprintf (abstract, sizeof abstract, "abstract:%s", name);
  snprintf (at, sizeof at, "@%s", name);
  snprintf (prefixed, sizeof prefixed, "unix:%s", file);
  meet (abstract, at);
  meet (at, abstract);
  CHECK (access (name, F_OK) != 0 && access (at, F_OK) != 0 && access (abstract, F_OK) != 0);
  meet (prefixed, file);
  meet (file, prefixed);
  CHECK (access (prefixed, F_OK) != 0);
  return 0;
}
