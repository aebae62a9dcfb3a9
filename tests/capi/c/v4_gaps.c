/* Generation 4: programs that send less than they allocate, nothing, or too much. */
#include "v4.h"

/* The first bytes of what arrived, one a packet of one buffer, as a string. */
static const char *
arrived (memif_conn_handle_t conn)
{
  static char text[65];
  memif_buffer_t bufs[64];
  uint16_t n = 0;
  OK (memif_rx_burst (conn, 0, bufs, 64, &n));
  for (int i = 0; i < n; i++)
    {
      CHECK (bufs[i].flags == 0 && bufs[i].len >= 1);
      for (uint32_t b = 0; b < bufs[i].len; b++)
        CHECK (((char *) bufs[i].data)[b] == *(char *) bufs[i].data);
      text[i] = *(char *) bufs[i].data;
    }
  text[n] = '\0';
  OK (memif_refill_queue (conn, 0, n, 0));
  return text;
}

static void
allocate (memif_conn_handle_t conn, memif_buffer_t *bufs, const char *text)
{
  uint16_t n = 0;
  OK (memif_buffer_alloc (conn, 0, bufs, (uint16_t) strlen (text), &n, 64));
  CHECK (n == strlen (text));
  for (int i = 0; i < n; i++)
    {
      bufs[i].len = (uint32_t) (40 + i);
      memset (bufs[i].data, text[i], bufs[i].len);
    }
}

#define SEND(conn, bufs, count, expected_error, expected_count)                                                        \
  do                                                                                                                   \
    {                                                                                                                  \
      uint16_t sent_ = 99;                                                                                             \
      CHECK_ERR (memif_tx_burst (conn, 0, bufs, count, &sent_), expected_error);                                       \
      CHECK (sent_ == (expected_count));                                                                               \
    }                                                                                                                  \
  while (0)

#define ARRIVED(conn, expected) CHECK (strcmp (arrived (conn), expected) == 0)

typedef void (exchange_t) (memif_conn_handle_t from, memif_conn_handle_t to);

static void
both_ways (int rounds, exchange_t *exchange)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 4, .buffer_size = 256 });
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  for (int round = 0; round < rounds; round++)
    {
      exchange (pair.slave.conn, pair.master.conn);
      exchange (pair.master.conn, pair.slave.conn);
    }
  close_pair (&pair);
}

/* The case `name`: what follows, from the slave to the master and the other way round. */
#define BOTH_WAYS(name, rounds)                                                                                        \
  static exchange_t name##_one_way;                                                                                    \
  static void name (void) { both_ways (rounds, name##_one_way); }                                                      \
  static void name##_one_way (memif_conn_handle_t from, memif_conn_handle_t to)

BOTH_WAYS (what_is_not_sent_can_be_sent_later, 30)
{
  memif_buffer_t bufs[8];
  allocate (from, bufs, "abcdef");
  SEND (from, bufs, 2, MEMIF_ERR_SUCCESS, 2);
  ARRIVED (to, "ab");
  allocate (from, bufs + 6, "gh");
  SEND (from, bufs + 2, 6, MEMIF_ERR_SUCCESS, 6);
  ARRIVED (to, "cdefgh");
}

BOTH_WAYS (buffers_left_out_are_given_up, 30)
{
  memif_buffer_t bufs[8];
  /* Two of four, and then those of the next call: the ring has no hole, and does not fill up. */
  allocate (from, bufs, "abcd");
  SEND (from, bufs, 2, MEMIF_ERR_SUCCESS, 2);
  allocate (from, bufs, "efgh");
  SEND (from, bufs, 4, MEMIF_ERR_SUCCESS, 4);
  ARRIVED (to, "abefgh");
  /* Every other one. */
  allocate (from, bufs, "abcdef");
  memif_buffer_t some[3] = { bufs[1], bufs[3], bufs[5] };
  SEND (from, some, 3, MEMIF_ERR_SUCCESS, 3);
  ARRIVED (to, "bdf");
  /* What was given up is no longer allocated. */
  SEND (from, bufs, 1, MEMIF_ERR_INVAL_ARG, 0);
}

BOTH_WAYS (empty_packets_are_left_out, 30)
{
  memif_buffer_t bufs[8];
  allocate (from, bufs, "abcdef");
  bufs[0].len = bufs[2].len = bufs[3].len = bufs[5].len = 0;
  SEND (from, bufs, 6, MEMIF_ERR_SUCCESS, 6);
  ARRIVED (to, "be");
  allocate (from, bufs, "a");
  bufs[0].len = 0;
  SEND (from, bufs, 1, MEMIF_ERR_SUCCESS, 1);
  ARRIVED (to, "");
  /* In part: what is still held keeps its place. */
  allocate (from, bufs, "abcd");
  bufs[0].len = 0;
  SEND (from, bufs, 2, MEMIF_ERR_SUCCESS, 2);
  SEND (from, bufs + 2, 2, MEMIF_ERR_SUCCESS, 2);
  ARRIVED (to, "bcd");
}

BOTH_WAYS (chains_move_up_too, 30)
{
  memif_buffer_t bufs[8], got[8];
  uint16_t n = 0;
  OK (memif_buffer_alloc (from, 0, bufs, 2, &n, 700));
  CHECK (n == 6);
  for (int i = 0; i < 6; i++)
    memset (bufs[i].data, 'a' + i, bufs[i].len);
  SEND (from, bufs + 3, 3, MEMIF_ERR_SUCCESS, 3);
  OK (memif_rx_burst (to, 0, got, 8, &n));
  CHECK (n == 3 && got[0].len == 256 && got[1].len == 256 && got[2].len == 700 - 512);
  for (int i = 0; i < 3; i++)
    CHECK (got[i].flags == (i < 2) && ((char *) got[i].data)[got[i].len - 1] == 'd' + i);
  OK (memif_refill_queue (to, 0, n, 0));
  /* A chain without its end is held, and goes when that has come. */
  OK (memif_buffer_alloc (from, 0, bufs, 1, &n, 700));
  SEND (from, bufs, 2, MEMIF_ERR_SUCCESS, 2);
  OK (memif_rx_burst (to, 0, got, 8, &n));
  CHECK (n == 0);
  SEND (from, bufs + 2, 1, MEMIF_ERR_SUCCESS, 1);
  OK (memif_rx_burst (to, 0, got, 8, &n));
  CHECK (n == 3);
  OK (memif_refill_queue (to, 0, n, 0));
}

BOTH_WAYS (packets_that_move_up_stay_within_their_buffers, 1)
{
  memif_buffer_t bufs[8];
  allocate (from, bufs, "abcd");
  memif_buffer_t bad = bufs[1];
  bad.len = 257;
  SEND (from, &bad, 1, MEMIF_ERR_INVAL_ARG, 0);
  bad = bufs[1];
  bad.data = (char *) bad.data - 1;
  SEND (from, &bad, 1, MEMIF_ERR_INVAL_ARG, 0);
  bad.data = (char *) bufs[1].data + 250;
  SEND (from, &bad, 1, MEMIF_ERR_INVAL_ARG, 0);
  memif_buffer_t turned[3] = { bufs[2], bufs[1], bufs[3] };
  SEND (from, turned, 3, MEMIF_ERR_INVAL_ARG, 0);
  memif_buffer_t twice[3] = { bufs[1], bufs[1], bufs[3] };
  SEND (from, twice, 3, MEMIF_ERR_INVAL_ARG, 0);
  ARRIVED (to, "");
  /* Moved forward by the program, and then up. */
  bufs[2].data = (char *) bufs[2].data + 5;
  bufs[2].len -= 5;
  SEND (from, bufs + 2, 2, MEMIF_ERR_SUCCESS, 2);
  ARRIVED (to, "cd");
}

BOTH_WAYS (counts_of_zero_and_of_too_many, 1)
{
  memif_buffer_t bufs[70];
  uint16_t n = 9;
  OK (memif_buffer_alloc (from, 0, bufs, 0, &n, 64));
  CHECK (n == 0);
  OK (memif_buffer_alloc (from, 0, NULL, 0, &n, 64));
  SEND (from, bufs, 0, MEMIF_ERR_SUCCESS, 0);
  SEND (from, NULL, 0, MEMIF_ERR_SUCCESS, 0);
  n = 9;
  OK (memif_rx_burst (from, 0, bufs, 0, &n));
  CHECK (n == 0);
  OK (memif_refill_queue (from, 0, 0, 0));
  OK (memif_refill_queue (from, 0, 500, 0)); /* nothing is held */

  n = 0;
  CHECK_ERR (memif_buffer_alloc (from, 0, bufs, 70, &n, 64), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 16);
  CHECK_ERR (memif_buffer_alloc (from, 0, bufs + 16, 1, &n, 64), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 0);
  for (int i = 0; i < 16; i++)
    memset (bufs[i].data, 'x', bufs[i].len);
  memcpy (bufs + 16, bufs, sizeof *bufs);
  SEND (from, bufs, 17, MEMIF_ERR_INVAL_ARG, 16); /* the seventeenth is not allocated */
  /* No room at all: none of it is lost. */
  CHECK_ERR (memif_rx_burst (to, 0, bufs, 0, &n), MEMIF_ERR_NOBUF);
  ARRIVED (to, "xxxxxxxxxxxxxxxx");
}

/* The array has room for what the master's own buffer size makes of a packet; a slave that posts less overruns nothing.
 */
static void
small_buffers_overrun_no_array (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  create_end (&pair.master, (memif_conn_args_t){ .buffer_size = 1000 }, 1);
  create_end (&pair.slave, (memif_conn_args_t){ .buffer_size = 100, .log2_ring_size = 6 }, 0);
  UNTIL (pair.master.connects && pair.slave.connects, poll_both (&pair));
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  memif_buffer_t bufs[5], got[64];
  uint16_t n = 9;
  memset (bufs, 0x77, sizeof bufs);
  CHECK_ERR (memif_buffer_alloc (pair.master.conn, 0, bufs, 1, &n, 1000), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 0);
  CHECK_ERR (memif_buffer_alloc (pair.master.conn, 0, bufs, 4, &n, 250), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 3); /* one packet; a second would need six */
  for (size_t b = 0; b < sizeof *bufs; b++)
    CHECK (((uint8_t *) &bufs[4])[b] == 0x77);
  for (int i = 0; i < 3; i++)
    memset (bufs[i].data, 'z', bufs[i].len);
  SEND (pair.master.conn, bufs, 3, MEMIF_ERR_SUCCESS, 3);
  OK (memif_rx_burst (pair.slave.conn, 0, got, 64, &n));
  CHECK (n == 3 && got[2].len == 50 && got[2].flags == 0);
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (what_is_not_sent_can_be_sent_later),
  CASE (buffers_left_out_are_given_up),
  CASE (empty_packets_are_left_out),
  CASE (chains_move_up_too),
  CASE (packets_that_move_up_stay_within_their_buffers),
  CASE (counts_of_zero_and_of_too_many),
  CASE (small_buffers_overrun_no_array),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
