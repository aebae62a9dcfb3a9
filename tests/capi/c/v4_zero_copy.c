/* Generation 4: the zero-copy calls. */
#include "v4.h"

static void
zero_copy_calls (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 3, .buffer_size = 256 });
  memif_conn_handle_t slave = pair.slave.conn, master = pair.master.conn;
  memif_buffer_t bufs[16], got[16];
  uint16_t n = 0, queued = 0, sent = 0;
  OK (memif_refill_queue (slave, 0, -1, 0));
  for (int round = 0; round < 20; round++)
    {
      CHECK (send_marked (master, 5, 100, (uint8_t) round) == 5);
      OK (memif_rx_burst (slave, 0, bufs, 16, &n));
      CHECK (n == 5);
      void *data[5];
      for (int i = 0; i < 5; i++)
        data[i] = bufs[i].data;
      OK (memif_buffer_enq_tx (slave, 0, bufs, 5, &queued));
      CHECK (queued == 5);
      for (int i = 0; i < 5; i++)
        CHECK (bufs[i].data == data[i]);
      OK (memif_refill_queue (slave, 0, 5, 0));
      OK (memif_tx_burst (slave, 0, bufs, 5, &sent));
      CHECK (sent == 5);
      OK (memif_rx_burst (master, 0, got, 16, &n));
      CHECK (n == 5);
      for (int i = 0; i < 5; i++)
        CHECK (got[i].len == 100 && *(uint8_t *) got[i].data == (uint8_t) (round + i));
      OK (memif_refill_queue (master, 0, 5, 0));
    }
  /* The ring has room for eight. */
  CHECK (send_marked (master, 8, 100, 0) == 8);
  OK (memif_rx_burst (slave, 0, bufs, 16, &n));
  OK (memif_buffer_alloc (slave, 0, got, 6, &queued, 10));
  CHECK_ERR (memif_buffer_enq_tx (slave, 0, bufs, 8, &queued), MEMIF_ERR_NOBUF_RING);
  CHECK (queued == 2);
  /* A buffer that is neither received nor this interface's. */
  memif_buffer_t foreign = bufs[3];
  foreign.queue = &foreign;
  CHECK_ERR (memif_buffer_enq_tx (slave, 0, &foreign, 1, &queued), MEMIF_ERR_INVAL_ARG);
  OK (memif_set_next_free_buffer (slave, 0, &got[0]));
  CHECK_ERR (memif_set_next_free_buffer (slave, 0, &got[3]), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_set_next_free_buffer (slave, 0, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_set_next_free_buffer (slave, 4, &got[0]), MEMIF_ERR_QID);

  /* A received and an allocated buffer change places: what is sent is what was received. */
  OK (memif_buffer_alloc (slave, 0, got, 2, &n, 100));
  *(uint8_t *) bufs[5].data = 0x55;
  const uint16_t sent_from = got[0].desc_index, received_at = bufs[5].desc_index;
  OK (memif_buffer_requeue (slave, &got[0], &bufs[5]));
  CHECK (bufs[5].desc_index == sent_from && got[0].desc_index == received_at);
  memif_buffer_t out[2] = { bufs[5], got[1] };
  OK (memif_tx_burst (slave, 0, out, 2, &sent));
  OK (memif_rx_burst (master, 0, got, 16, &n));
  CHECK (n == 2 && *(uint8_t *) got[0].data == 0x55);
  OK (memif_refill_queue (master, 0, -1, 0));
  /* Two received ones. */
  memif_buffer_t a = bufs[6], b = bufs[7];
  OK (memif_buffer_requeue (slave, &a, &b));
  CHECK (a.desc_index == bufs[7].desc_index && b.desc_index == bufs[6].desc_index && a.data == bufs[6].data);
  /* Two allocated ones. */
  OK (memif_buffer_alloc (slave, 0, got, 2, &n, 4));
  memcpy (got[0].data, "AAA", 4);
  memcpy (got[1].data, "BBB", 4);
  OK (memif_buffer_requeue (slave, &got[0], &got[1]));
  memif_buffer_t turned[2] = { got[1], got[0] };
  OK (memif_tx_burst (slave, 0, turned, 2, &sent));
  OK (memif_rx_burst (master, 0, got, 16, &n));
  CHECK (n == 2 && memcmp (got[0].data, "BBB", 4) == 0 && memcmp (got[1].data, "AAA", 4) == 0);

  CHECK_ERR (memif_buffer_requeue (slave, &a, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_buffer_requeue (slave, &a, &foreign), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_buffer_requeue (master, &a, &b), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_buffer_enq_tx (master, 0, bufs, 1, &queued), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_buffer_enq_tx (slave, 0, bufs, 1, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_buffer_enq_tx (slave, 7, bufs, 1, &queued), MEMIF_ERR_QID);
  /* Given back, it is not received any more. */
  OK (memif_refill_queue (slave, 0, -1, 0));
  CHECK_ERR (memif_buffer_enq_tx (slave, 0, &bufs[3], 1, &queued), MEMIF_ERR_INVAL_ARG);
  close_pair (&pair);
}

/* A program puts a packet aside in a transmit queue of its own, and sends it later by another one. It can go on like
 * that forever: what is moved out of a queue leaves its place to the next. */
static void
packets_put_aside_are_sent_later_by_another_queue (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 2, .buffer_size = 256, .num_s2m_rings = 2 });
  memif_conn_handle_t slave = pair.slave.conn, master = pair.master.conn;
  memif_buffer_t bufs[4], got[4];
  uint16_t n = 0;
  OK (memif_refill_queue (slave, 0, -1, 0));
  for (int round = 0; round < 20; round++)
    {
      CHECK (send_marked (master, 3, 100, (uint8_t) round) == 3);
      OK (memif_rx_burst (slave, 0, bufs, 4, &n));
      CHECK (n == 3);
      const void *aside = bufs[0].data;
      OK (memif_buffer_enq_tx (slave, 1, bufs, 1, &n));
      OK (memif_buffer_enq_tx (slave, 0, bufs + 1, 2, &n));
      OK (memif_refill_queue (slave, 0, 3, 0));
      OK (memif_tx_burst (slave, 0, bufs + 1, 2, &n));
      /* In its own queue it has a place already. */
      CHECK_ERR (memif_buffer_enq_tx (slave, 1, bufs, 1, &n), MEMIF_ERR_INVAL_ARG);
      OK (memif_buffer_enq_tx (slave, 0, bufs, 1, &n));
      CHECK (n == 1 && bufs[0].data == aside);
      OK (memif_tx_burst (slave, 0, bufs, 1, &n));
      CHECK (n == 1);
      OK (memif_rx_burst (master, 0, got, 4, &n));
      CHECK (n == 3);
      for (int i = 0; i < 3; i++)
        CHECK (got[i].len == 100 && *(uint8_t *) got[i].data == (uint8_t) (round + (i + 1) % 3));
      OK (memif_refill_queue (master, 0, 3, 0));
    }
  close_pair (&pair);
}

/* Two received packets change places, each in a queue of its own; one of them is then sent from where it came to lie.
 */
static void
packets_of_two_queues_change_places (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 2, .buffer_size = 256, .num_m2s_rings = 2 });
  memif_conn_handle_t slave = pair.slave.conn, master = pair.master.conn;
  memif_buffer_t bufs[2], got;
  uint16_t n = 0;
  for (uint16_t qid = 0; qid < 2; qid++)
    {
      OK (memif_refill_queue (slave, qid, -1, 0));
      OK (memif_buffer_alloc (master, qid, &got, 1, &n, 100));
      memset (got.data, 'a' + qid, 100);
      OK (memif_tx_burst (master, qid, &got, 1, &n));
      OK (memif_rx_burst (slave, qid, &bufs[qid], 1, &n));
      CHECK (n == 1);
    }
  const memif_buffer_t before[2] = { bufs[0], bufs[1] };
  OK (memif_buffer_requeue (slave, &bufs[0], &bufs[1]));
  for (int i = 0; i < 2; i++)
    {
      CHECK (bufs[i].data == before[i].data && *(char *) bufs[i].data == 'a' + i);
      CHECK (bufs[i].queue == before[1 - i].queue && bufs[i].desc_index == before[1 - i].desc_index);
    }
  /* What is given back in the second queue is now the first one's buffer. */
  OK (memif_buffer_enq_tx (slave, 0, &bufs[1], 1, &n));
  OK (memif_tx_burst (slave, 0, &bufs[1], 1, &n));
  OK (memif_rx_burst (master, 0, &got, 1, &n));
  CHECK (n == 1 && *(char *) got.data == 'b');
  CHECK (*(char *) bufs[0].data == 'a');
  OK (memif_refill_queue (slave, 0, -1, 0));
  OK (memif_refill_queue (slave, 1, -1, 0));
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (zero_copy_calls),
  CASE (packets_of_two_queues_change_places),
  CASE (packets_put_aside_are_sent_later_by_another_queue),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
