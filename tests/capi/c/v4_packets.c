/* Generation 4: packets. */
#include "v4.h"

static void
both_ways_in_both_roles (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  CHECK (pair.master.handle_was_set && pair.slave.handle_was_set);
  memif_buffer_t bufs[64];
  uint16_t n = 0;
  /* Until the slave refills, the master has nowhere to put a packet. */
  CHECK_ERR (memif_buffer_alloc (pair.master.conn, 0, bufs, 1, &n, 64), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 0);
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  OK (memif_refill_queue (pair.master.conn, 0, -1, 0));

  end_t *from[] = { &pair.slave, &pair.master }, *to[] = { &pair.master, &pair.slave };
  for (int way = 0; way < 2; way++)
    for (int round = 0; round < 100; round++)
      {
        CHECK (send_marked (from[way]->conn, 32, 60, (uint8_t) round) == 32);
        OK (memif_rx_burst (to[way]->conn, 0, bufs, 64, &n));
        CHECK (n == 32);
        for (int i = 0; i < 32; i++)
          {
            CHECK (bufs[i].len == 60 && bufs[i].flags == 0);
            CHECK (((uint8_t *) bufs[i].data)[59] == (uint8_t) (round + i));
          }
        OK (memif_refill_queue (to[way]->conn, 0, n, 0));
        OK (memif_rx_burst (to[way]->conn, 0, bufs, 64, &n));
        CHECK (n == 0);
      }
  CHECK_ERR (memif_rx_burst (pair.slave.conn, 1, bufs, 64, &n), MEMIF_ERR_QID);
  CHECK_ERR (memif_tx_burst (pair.slave.conn, 1, bufs, 0, &n), MEMIF_ERR_QID);
  CHECK_ERR (memif_buffer_alloc (pair.slave.conn, 1, bufs, 1, &n, 1), MEMIF_ERR_QID);
  CHECK_ERR (memif_refill_queue (pair.slave.conn, 1, 1, 0), MEMIF_ERR_QID);
  CHECK_ERR (memif_rx_burst (pair.slave.conn, 0, bufs, 64, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_tx_burst (pair.slave.conn, 0, bufs, 64, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_rx_burst (pair.slave.conn, 0, NULL, 64, &n), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_refill_queue (pair.slave.conn, 0, 1, 2048), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_request_connection (pair.slave.conn), MEMIF_ERR_ALRCONN);
  CHECK_ERR (memif_request_connection (pair.master.conn), MEMIF_ERR_ALRCONN);
  close_pair (&pair);
}

static void
alloc_counts_packets_and_returns_buffers (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .buffer_size = 100, .log2_ring_size = 3 });
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  memif_buffer_t bufs[16];
  uint16_t n = 0, sent = 0;
  end_t *ends[] = { &pair.slave, &pair.master }, *peers[] = { &pair.master, &pair.slave };
  for (int i = 0; i < 2; i++)
    {
      /* Eight slots are two packets of three buffers, and no third. */
      CHECK_ERR (memif_buffer_alloc (ends[i]->conn, 0, bufs, 3, &n, 250), MEMIF_ERR_NOBUF_RING);
      CHECK (n == 6);
      for (int b = 0; b < 6; b++)
        {
          CHECK (bufs[b].len == (b % 3 == 2 ? 50 : 100));
          CHECK (bufs[b].flags == (b % 3 == 2 ? 0 : MEMIF_BUFFER_FLAG_NEXT));
          memset (bufs[b].data, b, bufs[b].len);
        }
      OK (memif_tx_burst (ends[i]->conn, 0, bufs, n, &sent));
      CHECK (sent == 6);
      OK (memif_rx_burst (peers[i]->conn, 0, bufs, 16, &n));
      CHECK (n == 6);
      for (int b = 0; b < 6; b++)
        {
          CHECK (bufs[b].len == (b % 3 == 2 ? 50 : 100));
          CHECK (bufs[b].flags == (b % 3 == 2 ? 0 : MEMIF_BUFFER_FLAG_NEXT));
          CHECK (((uint8_t *) bufs[b].data)[bufs[b].len - 1] == b);
        }
      OK (memif_refill_queue (peers[i]->conn, 0, -1, 0));
      /* Exactly as many as there are: success. Nothing is reserved twice. */
      OK (memif_buffer_alloc (ends[i]->conn, 0, bufs, 4, &n, 100));
      CHECK (n == 4);
      OK (memif_buffer_alloc (ends[i]->conn, 0, bufs + 4, 4, &n, 100));
      CHECK (n == 4);
      CHECK_ERR (memif_buffer_alloc (ends[i]->conn, 0, bufs + 8, 1, &n, 100), MEMIF_ERR_NOBUF_RING);
      CHECK (n == 0);
      for (int b = 1; b < 8; b++)
        CHECK (bufs[b].data != bufs[b - 1].data);
      /* Size 0 is a whole buffer. */
      OK (memif_set_next_free_buffer (ends[i]->conn, 0, &bufs[0]));
      OK (memif_buffer_alloc (ends[i]->conn, 0, bufs, 1, &n, 0));
      CHECK (n == 1 && bufs[0].len == 100);
      OK (memif_tx_burst (ends[i]->conn, 0, bufs, 1, &sent));
      OK (memif_rx_burst (peers[i]->conn, 0, bufs, 16, &n));
      OK (memif_refill_queue (peers[i]->conn, 0, -1, 0));
    }
  close_pair (&pair);
}

static void
nobuf_loses_nothing_and_keeps_the_event (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  end_t *from[] = { &pair.slave, &pair.master }, *to[] = { &pair.master, &pair.slave };
  for (int way = 0; way < 2; way++)
    {
      memif_buffer_t bufs[32];
      uint16_t n = 0;
      int efd = -1;
      OK (memif_get_queue_efd (to[way]->conn, 0, &efd));
      OK (memif_rx_burst (to[way]->conn, 0, bufs, 32, &n));
      CHECK (!readable (efd));
      CHECK (send_marked (from[way]->conn, 100, 64, 0) == 100);
      CHECK (readable (efd));
      int total = 0, err;
      do
        {
          err = memif_rx_burst (to[way]->conn, 0, bufs, 32, &n);
          for (int i = 0; i < n; i++)
            CHECK (*(uint8_t *) bufs[i].data == (uint8_t) (total + i));
          total += n;
          CHECK (err == (total < 100 ? MEMIF_ERR_NOBUF : MEMIF_ERR_SUCCESS));
          CHECK (readable (efd) == (err == MEMIF_ERR_NOBUF));
          OK (memif_refill_queue (to[way]->conn, 0, n, 0));
        }
      while (err == MEMIF_ERR_NOBUF);
      CHECK (total == 100);
      /* Exactly full is not NOBUF. */
      CHECK (send_marked (from[way]->conn, 32, 64, 0) == 32);
      OK (memif_rx_burst (to[way]->conn, 0, bufs, 32, &n));
      CHECK (n == 32 && !readable (efd));
      OK (memif_refill_queue (to[way]->conn, 0, n, 0));
      /* A sender that saw interrupts wanted signals again. */
      CHECK (send_marked (from[way]->conn, 1, 64, 0) == 1);
      CHECK (readable (efd));
      OK (memif_rx_burst (to[way]->conn, 0, bufs, 32, &n));
      CHECK (n == 1 && !readable (efd));
      OK (memif_refill_queue (to[way]->conn, 0, n, 0));
    }
  close_pair (&pair);
}

/* Programs that read the event descriptor themselves, before they ask for packets: what is left wakes them again. */
static void
nobuf_renews_an_event_that_the_program_has_read (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  memif_conn_handle_t master = pair.master.conn;
  memif_buffer_t bufs[8];
  uint16_t n = 0;
  int efd = -1;
  OK (memif_get_queue_efd (master, 0, &efd));
  OK (memif_rx_burst (master, 0, bufs, 8, &n));
  CHECK (send_marked (pair.slave.conn, 40, 64, 0) == 40);
  for (int left = 40; left != 0; left -= n)
    {
      uint64_t count;
      CHECK (readable (efd) && read (efd, &count, sizeof count) == sizeof count);
      CHECK_ERR (memif_rx_burst (master, 0, bufs, 8, &n), left > 8 ? MEMIF_ERR_NOBUF : MEMIF_ERR_SUCCESS);
      CHECK (n == 8);
      OK (memif_refill_queue (master, 0, n, 0));
    }
  CHECK (!readable (efd));
  close_pair (&pair);
}

static void
a_chain_longer_than_the_array_comes_in_pieces (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .buffer_size = 128 });
  memif_buffer_t bufs[8];
  uint16_t n = 0;
  CHECK (send_marked (pair.slave.conn, 1, 128 * 5, 0) == 5);
  CHECK_ERR (memif_rx_burst (pair.master.conn, 0, bufs, 2, &n), MEMIF_ERR_NOBUF);
  CHECK (n == 2 && bufs[0].flags == 1 && bufs[1].flags == 1);
  CHECK_ERR (memif_rx_burst (pair.master.conn, 0, bufs, 2, &n), MEMIF_ERR_NOBUF);
  CHECK (n == 2);
  OK (memif_rx_burst (pair.master.conn, 0, bufs, 2, &n));
  CHECK (n == 1 && bufs[0].flags == 0 && *(uint8_t *) bufs[0].data == 4);
  close_pair (&pair);
}

static void
headroom_and_lengths_are_checked (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ .buffer_size = 256 });
  memif_buffer_t bufs[8], got[8];
  uint16_t n = 0, sent = 0;
  /* The slave moves data forward; the peer sees it there. */
  OK (memif_buffer_alloc (pair.slave.conn, 0, bufs, 3, &n, 100));
  for (int i = 0; i < 3; i++)
    {
      bufs[i].data = (char *) bufs[i].data + 14;
      memset (bufs[i].data, 'a' + i, 100);
    }
  bufs[1].len = 256 - 13; /* one byte too many */
  CHECK_ERR (memif_tx_burst (pair.slave.conn, 0, bufs, 3, &sent), MEMIF_ERR_INVAL_ARG);
  CHECK (sent == 1);
  OK (memif_rx_burst (pair.master.conn, 0, got, 8, &n));
  CHECK (n == 1 && got[0].len == 100 && *(char *) got[0].data == 'a');
  OK (memif_refill_queue (pair.master.conn, 0, -1, 0));
  /* Put right, the rest can be sent. */
  bufs[1].len = 256 - 14;
  OK (memif_tx_burst (pair.slave.conn, 0, bufs + 1, 2, &sent));
  CHECK (sent == 2);
  OK (memif_rx_burst (pair.master.conn, 0, got, 8, &n));
  CHECK (n == 2 && got[0].len == 242 && got[1].len == 100 && *(char *) got[1].data == 'c');
  OK (memif_refill_queue (pair.master.conn, 0, -1, 0));
  /* The next packets in those slots begin at the start of their buffers again. */
  OK (memif_buffer_alloc (pair.slave.conn, 0, bufs, 2, &n, 10));
  /* Out of order, or never allocated: nothing goes out. */
  memif_buffer_t swapped[2] = { bufs[1], bufs[0] };
  CHECK_ERR (memif_tx_burst (pair.slave.conn, 0, swapped, 2, &sent), MEMIF_ERR_INVAL_ARG);
  CHECK (sent == 0);
  bufs[2] = bufs[1];
  bufs[2].desc_index++;
  CHECK_ERR (memif_tx_burst (pair.slave.conn, 0, bufs, 3, &sent), MEMIF_ERR_INVAL_ARG);
  CHECK (sent == 2);
  OK (memif_rx_burst (pair.master.conn, 0, got, 8, &n));
  CHECK (n == 2);
  /* The master, too, is held to the buffers that the slave posted; their headroom is kept free. */
  OK (memif_refill_queue (pair.slave.conn, 0, 4, 56));
  CHECK_ERR (memif_buffer_alloc (pair.master.conn, 0, bufs, 5, &n, 200), MEMIF_ERR_NOBUF_RING);
  CHECK (n == 4);
  bufs[1].len = 201;
  CHECK_ERR (memif_tx_burst (pair.master.conn, 0, bufs, 4, &sent), MEMIF_ERR_INVAL_ARG);
  CHECK (sent == 1);
  OK (memif_rx_burst (pair.slave.conn, 0, got, 8, &n));
  CHECK (n == 1 && got[0].len == 200);
  memset ((char *) got[0].data - 56, 0, 256); /* all of it lies in the buffer */
  close_pair (&pair);
}

static int
rx_flags (memif_conn_handle_t conn)
{
  memif_details_t md;
  char text[4096];
  OK (memif_get_details (conn, &md, text, sizeof text));
  return md.rx_queues[0].flags;
}

static void
polling_mode_is_silent (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  memif_buffer_t bufs[16];
  uint16_t n = 0;
  int efd = -1;
  OK (memif_get_queue_efd (pair.master.conn, 0, &efd));
  /* At once: before the queue's next call, for both ends to see. */
  OK (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_POLLING, 0));
  CHECK (!readable (efd) && rx_flags (pair.master.conn) == MEMIF_QUEUE_FLAG_POLLING);
  send_marked (pair.slave.conn, 20, 64, 0);
  CHECK (!readable (efd));
  CHECK_ERR (memif_rx_burst (pair.master.conn, 0, bufs, 16, &n), MEMIF_ERR_NOBUF);
  OK (memif_rx_burst (pair.master.conn, 0, bufs, 16, &n));
  CHECK (n == 4 && !readable (efd));
  /* Back to interrupts: if something is waiting, the program is to know. */
  OK (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_INTERRUPT, 0));
  CHECK (!readable (efd) && rx_flags (pair.master.conn) == 0);
  send_marked (pair.slave.conn, 1, 64, 0);
  CHECK (readable (efd));
  OK (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_POLLING, 0));
  CHECK (readable (efd));
  OK (memif_rx_burst (pair.master.conn, 0, bufs, 16, &n));
  CHECK (n == 1 && !readable (efd));
  send_marked (pair.slave.conn, 1, 64, 0);
  CHECK (!readable (efd));
  OK (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_INTERRUPT, 0));
  CHECK (readable (efd));
  CHECK_ERR (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_POLLING, 9), MEMIF_ERR_QID);
  CHECK_ERR (memif_set_rx_mode (pair.master.conn, (memif_rx_mode_t) 5, 0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_get_queue_efd (pair.master.conn, 9, &efd), MEMIF_ERR_QID);
  CHECK_ERR (memif_get_queue_efd (pair.master.conn, 0, NULL), MEMIF_ERR_INVAL_ARG);
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (both_ways_in_both_roles),
  CASE (alloc_counts_packets_and_returns_buffers),
  CASE (nobuf_loses_nothing_and_keeps_the_event),
  CASE (nobuf_renews_an_event_that_the_program_has_read),
  CASE (a_chain_longer_than_the_array_comes_in_pieces),
  CASE (headroom_and_lengths_are_checked),
  CASE (polling_mode_is_silent),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
