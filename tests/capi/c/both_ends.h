/* A master and a slave on the one instance, for tests that are compiled once for each generation. */
#ifndef BOTH_ENDS_H
#define BOTH_ENDS_H
#include "generations.h"

static uint16_t buffer_size = 256;

static inline void
create (end_t *end, int master, interrupt_t *interrupt)
{
  const memif_conn_args_t args = { .is_master = (uint8_t) master, .buffer_size = buffer_size, .log2_ring_size = 4 };
  OK (create_with (&end->conn, args, on_connect, on_disconnect, interrupt, end));
}

static end_t master, slave;

static inline void
connect_both (void)
{
  master = slave = (end_t){ 0 };
  start_at (unique_path ());
  create (&master, 1, NULL);
  create (&slave, 0, NULL);
  UNTIL (master.connects && slave.connects, OK (poll_for (1)));
}

static inline void
end_both (void)
{
  OK (memif_delete (&slave.conn));
  OK (memif_delete (&master.conn));
  OK (stop ());
}

#endif
