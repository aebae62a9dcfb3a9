/* Packets that are sent in parts, over several calls, in the generation that GENERATION names; compiled once for each.
 * The rings have 16 descriptors, the buffers 256 bytes, but where it says otherwise. */
#include "both_ends.h"

static uint8_t seed; /* no two packets have the same bytes */

static void
check_bytes (const memif_buffer_t *bufs, uint16_t count, uint32_t size)
{
  uint32_t at = 0;
  for (int i = 0; i < count; i++)
    for (uint32_t k = 0; k < bufs[i].len; k++)
      CHECK (((uint8_t *) bufs[i].data)[k] == (uint8_t) (at++ * 7 + seed));
  CHECK (at == size);
}

static void
fill_bytes (const memif_buffer_t *bufs, uint16_t count)
{
  uint32_t at = 0;
  seed++;
  for (int i = 0; i < count; i++)
    for (uint32_t k = 0; k < bufs[i].len; k++)
      ((uint8_t *) bufs[i].data)[k] = (uint8_t) (at++ * 7 + seed);
}

static uint16_t
receive (memif_conn_handle_t conn, memif_buffer_t *bufs, uint16_t count)
{
  uint16_t n = 99;
  OK (memif_rx_burst (conn, 0, bufs, count, &n));
  return n;
}

/* Nothing is seen before the end comes; then the packet is there, whole, and others behind it. */
static void
a_packet_is_published_with_its_end (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int round = 0; round < 20; round++) /* the ring's end lies anywhere in it */
    for (int i = 0; i < 2; i++)
      {
        memif_buffer_t bufs[16], got[16];
        uint16_t n = 0, sent = 9;
        OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 1, &n, 1100));
        CHECK (n == 5);
        fill_bytes (bufs, 5);
        OK (memif_tx_burst (from[i]->conn, 0, bufs, 2, &sent));
        CHECK (sent == 2 && receive (to[i]->conn, got, 16) == 0);
        OK (memif_tx_burst (from[i]->conn, 0, bufs + 2, 1, &sent));
        CHECK (sent == 1 && receive (to[i]->conn, got, 16) == 0);
        /* allocating in between changes nothing */
        OK (memif_buffer_alloc (from[i]->conn, 0, bufs + 5, 2, &n, 60));
        CHECK (n == 2 && receive (to[i]->conn, got, 16) == 0);
        bufs[5].len = bufs[6].len = 60 - (uint32_t) round;
        OK (memif_tx_burst (from[i]->conn, 0, bufs + 3, 4, &sent));
        CHECK (sent == 4 && receive (to[i]->conn, got, 16) == 7);
        check_bytes (got, 5, 1100);
        CHECK (got[3].flags & MEMIF_BUFFER_FLAG_NEXT && !(got[4].flags & MEMIF_BUFFER_FLAG_NEXT));
        CHECK (got[6].len == 60 - (uint32_t) round);
        OK (refill (to[i]->conn, 0, 7));
      }
  end_both ();
}

/* Whole packets before the part are sent at once. */
static void
packets_before_a_part_do_not_wait (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[16], got[16];
      uint16_t n = 0, sent = 9;
      OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 2, &n, 60));
      OK (memif_buffer_alloc (from[i]->conn, 0, bufs + 2, 1, &n, 500));
      CHECK (n == 2);
      OK (memif_tx_burst (from[i]->conn, 0, bufs, 3, &sent));
      CHECK (sent == 3 && receive (to[i]->conn, got, 16) == 2);
      OK (memif_tx_burst (from[i]->conn, 0, bufs + 3, 1, &sent));
      CHECK (sent == 1 && receive (to[i]->conn, got, 16) == 2 && got[0].len == 256 && got[1].len == 244);
    }
  end_both ();
}

/* What was allocated between the parts and is left out does not come between them. */
static void
gaps_between_parts_are_closed (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[16], got[16];
      uint16_t n = 0, sent = 9;
      OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 6, &n, 200));
      memif_buffer_t used[] = { bufs[1], bufs[3], bufs[5] };
      fill_bytes (used, 3);
      used[0].flags |= MEMIF_BUFFER_FLAG_NEXT;
      used[1].flags |= MEMIF_BUFFER_FLAG_NEXT;
      OK (memif_tx_burst (from[i]->conn, 0, used, 1, &sent));
      CHECK (sent == 1 && receive (to[i]->conn, got, 16) == 0);
      OK (memif_tx_burst (from[i]->conn, 0, used + 1, 2, &sent));
      CHECK (sent == 2 && receive (to[i]->conn, got, 16) == 3);
      check_bytes (got, 3, 600);
    }
  end_both ();
}

/* A program that passes on what it receives, with an array of two, through a third interface or back. */
static void
pieces_are_passed_on_as_they_come (void)
{
  connect_both ();
  end_t *ends[] = { &slave, &master };
  for (int i = 0; i < 2; i++)
    {
      end_t *origin = ends[i], *forwarder = ends[1 - i];
      memif_buffer_t bufs[16], in[2], out[2];
      uint16_t n = 0, sent = 9;
      OK (memif_buffer_alloc (origin->conn, 0, bufs, 1, &n, 1700));
      CHECK (n == 7);
      fill_bytes (bufs, 7);
      OK (memif_tx_burst (origin->conn, 0, bufs, 7, &sent));
      int pieces = 0;
      for (int err = MEMIF_ERR_NOBUF; err == MEMIF_ERR_NOBUF; pieces++)
        {
          err = memif_rx_burst (forwarder->conn, 0, in, 2, &n);
          for (int k = 0; k < n; k++)
            {
              uint16_t one = 0;
              OK (memif_buffer_alloc (forwarder->conn, 0, out + k, 1, &one, 256));
              memcpy (out[k].data, in[k].data, in[k].len);
              out[k].len = in[k].len;
              out[k].flags |= in[k].flags & MEMIF_BUFFER_FLAG_NEXT;
            }
          OK (memif_tx_burst (forwarder->conn, 0, out, n, &sent));
          CHECK (sent == n);
          OK (refill (forwarder->conn, 0, n));
        }
      CHECK (pieces == 4 && receive (origin->conn, bufs, 16) == 7);
      check_bytes (bufs, 7, 1700);
      OK (refill (origin->conn, 0, 7));
    }
  end_both ();
}

/* The same without a copy: received buffers are the next to be sent. The array may have the end of a packet and the
 * next packet. */
static void
pieces_are_passed_on_without_a_copy (void)
{
  buffer_size = 2048;
  connect_both ();
  for (int round = 0; round < 40; round++) /* the rings' ends lie anywhere in the packets */
    {
      memif_buffer_t bufs[16], some[2];
      uint16_t n = 0, queued = 9, sent = 9, back = 0;
      const int pairs = 1 + round % 2;
      for (int i = 0; i < pairs; i++)
        {
          OK (memif_buffer_alloc (master.conn, 0, bufs, 1, &n, 9000));
          CHECK (n == 5);
          fill_bytes (bufs, 5);
          OK (memif_buffer_alloc (master.conn, 0, bufs + 5, 1, &n, 60));
          fill_bytes (bufs + 5, 1);
          OK (memif_tx_burst (master.conn, 0, bufs, 6, &sent));
          CHECK (sent == 6);
        }
      for (int calls = 1; calls <= 3 * pairs; calls++)
        {
          CHECK_ERR (memif_rx_burst (slave.conn, 0, some, 2, &n), calls < 3 * pairs ? MEMIF_ERR_NOBUF : 0);
          CHECK (n == 2);
          const void *const data[] = { some[0].data, some[1].data };
          OK (memif_buffer_enq_tx (slave.conn, 0, some, 2, &queued));
          CHECK (queued == 2 && some[0].data == data[0] && some[1].data == data[1]);
          OK (memif_tx_burst (slave.conn, 0, some, 2, &sent));
          CHECK (sent == 2);
          OK (refill (slave.conn, 0, 2));
          back = (uint16_t) (back + receive (master.conn, bufs + back, (uint16_t) (16 - back)));
          CHECK (back == calls / 3 * 6);
        }
      seed = (uint8_t) (seed - 2 * pairs);
      for (int i = 0; i < pairs; i++)
        {
          seed++;
          check_bytes (bufs + 6 * i, 5, 9000);
          seed++;
          check_bytes (bufs + 6 * i + 5, 1, 60);
        }
      OK (refill (master.conn, 0, back));
    }
  end_both ();
  buffer_size = 256;
}

#if GENERATION >= 30
/* What is allocated behind a part may change places, also with what was received. */
static void
buffers_behind_a_part_change_places (void)
{
  connect_both ();
  for (int round = 0; round < 20; round++)
    {
      memif_buffer_t bufs[16], got[16], received;
      uint16_t n = 0, sent = 9;
      OK (memif_buffer_alloc (slave.conn, 0, bufs, 1, &n, 700));
      CHECK (n == 3);
      OK (memif_tx_burst (slave.conn, 0, bufs, 1, &sent));
      CHECK (sent == 1);
      CHECK_ERR (memif_buffer_requeue (slave.conn, &bufs[0], &bufs[1]), MEMIF_ERR_INVAL_ARG); /* it is the queue's */
      OK (memif_buffer_requeue (slave.conn, &bufs[1], &bufs[2]));
      memif_buffer_t turned[3] = { bufs[0], bufs[2], bufs[1] };
      turned[1].len = 256;
      turned[1].flags |= MEMIF_BUFFER_FLAG_NEXT;
      turned[2].len = 188;
      turned[2].flags &= (uint8_t) ~MEMIF_BUFFER_FLAG_NEXT;
      fill_bytes (turned, 3);
      OK (memif_tx_burst (slave.conn, 0, turned + 1, 2, &sent));
      CHECK (sent == 2 && receive (master.conn, got, 16) == 3);
      check_bytes (got, 3, 700);
      OK (refill (master.conn, 0, 3));

      CHECK (send_packets (master.conn, 1, 256) == 1 && receive (slave.conn, &received, 1) == 1);
      OK (memif_buffer_alloc (slave.conn, 0, bufs, 1, &n, 500));
      CHECK (n == 2);
      OK (memif_tx_burst (slave.conn, 0, bufs, 1, &sent));
      OK (memif_buffer_requeue (slave.conn, &bufs[1], &received));
      memif_buffer_t whole[2] = { bufs[0], received };
      fill_bytes (whole, 2);
      OK (memif_tx_burst (slave.conn, 0, whole + 1, 1, &sent));
      CHECK (sent == 1 && receive (master.conn, got, 16) == 2);
      check_bytes (got, 2, 512);
      OK (refill (master.conn, 0, 2));
      OK (refill (slave.conn, 0, 1));
    }
  end_both ();
}

/* What is allocated behind a part may be given up; the part itself may not. */
static void
buffers_behind_a_part_are_given_up (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int round = 0; round < 20; round++)
    for (int i = 0; i < 2; i++)
      {
        memif_buffer_t bufs[16], got[16];
        uint16_t n = 0, sent = 9;
        OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 1, &n, 700));
        OK (memif_tx_burst (from[i]->conn, 0, bufs, 1, &sent));
        CHECK_ERR (memif_set_next_free_buffer (from[i]->conn, 0, &bufs[0]), MEMIF_ERR_INVAL_ARG);
        OK (memif_set_next_free_buffer (from[i]->conn, 0, &bufs[1]));
        OK (memif_buffer_alloc (from[i]->conn, 0, bufs + 3, 1, &n, 100));
        CHECK (n == 1 && bufs[3].desc_index == bufs[1].desc_index);
        memif_buffer_t whole[2] = { bufs[0], bufs[3] };
        fill_bytes (whole, 2);
        OK (memif_tx_burst (from[i]->conn, 0, bufs + 3, 1, &sent));
        CHECK (sent == 1 && receive (to[i]->conn, got, 16) == 2);
        check_bytes (got, 2, 356);
        OK (refill (to[i]->conn, 0, 2));
        /* with all the rest of the ring allocated */
        OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 1, &n, 300));
        OK (memif_tx_burst (from[i]->conn, 0, bufs, 1, &sent));
        OK (memif_buffer_alloc (from[i]->conn, 0, bufs + 2, 14, &n, 60));
        CHECK_ERR (memif_set_next_free_buffer (from[i]->conn, 0, &bufs[0]), MEMIF_ERR_INVAL_ARG);
        fill_bytes (bufs, 2);
        OK (memif_tx_burst (from[i]->conn, 0, bufs + 1, 15, &sent));
        CHECK (sent == 15 && receive (to[i]->conn, got, 16) == 16);
        check_bytes (got, 2, 300);
        OK (refill (to[i]->conn, 0, 16));
      }
  end_both ();
}
#endif

/* A packet that fills the ring and still goes on is given up, and told; then all is as if it had not been. */
static void
a_packet_without_end_is_refused (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 2; i++)
      {
        memif_buffer_t bufs[16], got[16];
        uint16_t n = 0, sent = 9;
        int parts = 0;
        while (1)
          {
            OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 1, &n, 100));
            bufs[0].flags |= MEMIF_BUFFER_FLAG_NEXT;
            const int err = memif_tx_burst (from[i]->conn, 0, bufs, 1, &sent);
            CHECK (receive (to[i]->conn, got, 16) == 0);
            if (err == MEMIF_ERR_INVAL_ARG)
              break;
            OK (err);
            CHECK (sent == 1 && ++parts < 16);
          }
        CHECK (parts == 15 && sent == 0);
        CHECK (send_packets (from[i]->conn, 16, 256) == 16 && receive (to[i]->conn, got, 16) == 16);
        for (int k = 0; k < 16; k++)
          CHECK (got[k].len == 256 && !(got[k].flags & MEMIF_BUFFER_FLAG_NEXT) && *(char *) got[k].data == k);
        OK (refill (to[i]->conn, 0, 16));
      }
  end_both ();
}

/* What is empty, or longer than its buffer, is no part; what was held before it waits on. */
static void
bad_parts_are_refused (void)
{
  connect_both ();
  end_t *from[] = { &slave, &master }, *to[] = { &master, &slave };
  for (int i = 0; i < 2; i++)
    {
      memif_buffer_t bufs[4], got[16];
      uint16_t n = 0, sent = 9;
      OK (memif_buffer_alloc (from[i]->conn, 0, bufs, 1, &n, 700));
      CHECK (n == 3);
      fill_bytes (bufs, 3);
      OK (memif_tx_burst (from[i]->conn, 0, bufs, 1, &sent));
      const uint32_t bad[] = { 0, 257, 0xffffffff };
      for (int k = 0; k < 3; k++)
        {
          bufs[1].len = bad[k];
          CHECK_ERR (memif_tx_burst (from[i]->conn, 0, bufs + 1, 1, &sent), MEMIF_ERR_INVAL_ARG);
          CHECK (sent == 0 && receive (to[i]->conn, got, 16) == 0);
        }
      bufs[1].len = 256;
      OK (memif_tx_burst (from[i]->conn, 0, bufs + 1, 2, &sent));
      CHECK (sent == 2 && receive (to[i]->conn, got, 16) == 3);
      check_bytes (got, 3, 700);
    }
  end_both ();
}

/* The rest of a packet whose beginning went with its link is not sent for a packet, even where the link is back before
 * the program looks. */
static void
a_part_goes_with_its_link (void)
{
  for (int of_slave = 0; of_slave < 2; of_slave++)
    for (int rest_is_sent = 0; rest_is_sent < 2; rest_is_sent++)
      {
        connect_both ();
        end_t *from = of_slave ? &slave : &master, *to = of_slave ? &master : &slave;
        memif_buffer_t bufs[4], got[16];
        uint16_t n = 0, sent = 9;
        OK (memif_buffer_alloc (from->conn, 0, bufs, 1, &n, 700));
        OK (memif_tx_burst (from->conn, 0, bufs, 2, &sent));
        CHECK (sent == 2);
        OK (memif_delete (&to->conn));
        UNTIL (from->disconnects, OK (poll_for (1)));
        *to = (end_t){ 0 };
        from->connects = 0;
        create (to, !of_slave ? 0 : 1, NULL);
#if GENERATION == 40
        if (of_slave)
          OK (memif_request_connection (slave.conn));
#endif
        UNTIL (from->connects && to->connects, OK (poll_for (1)));
        if (rest_is_sent)
          CHECK_ERR (memif_tx_burst (from->conn, 0, bufs + 2, 1, &sent), MEMIF_ERR_DISCONNECTED);
        else
          CHECK_ERR (memif_buffer_alloc (from->conn, 0, bufs, 1, &n, 60), MEMIF_ERR_DISCONNECTED);
        CHECK (receive (to->conn, got, 16) == 0);
        /* told once */
        CHECK (send_packets (from->conn, 16, 60) == 16 && receive (to->conn, got, 16) == 16 && got[0].len == 60);
        end_both ();
      }
}

/* Readable means packets: a program that goes on after an error would turn forever. */
static void
the_end_of_a_link_makes_no_queue_readable (void)
{
  for (int of_slave = 0; of_slave < 2; of_slave++)
    {
      connect_both ();
      end_t *own = of_slave ? &slave : &master, *peer = of_slave ? &master : &slave;
      int efd = -1;
      OK (memif_get_queue_efd (own->conn, 0, &efd));
      const int kept = dup (efd);
      CHECK (kept >= 0 && !readable (kept));
      OK (memif_set_rx_mode (own->conn, MEMIF_RX_MODE_POLLING, 0));
      OK (memif_set_rx_mode (own->conn, MEMIF_RX_MODE_INTERRUPT, 0));
      CHECK (!readable (kept));
      OK (memif_delete (&peer->conn));
      UNTIL (own->disconnects, OK (poll_for (1)));
      CHECK (!readable (kept));
      memif_buffer_t got[2];
      uint16_t n = 9;
      CHECK_ERR (memif_rx_burst (own->conn, 0, got, 2, &n), MEMIF_ERR_DISCONNECTED);
      CHECK (n == 0 && !readable (kept));
      close (kept);
      OK (memif_delete (&own->conn));
      OK (stop ());
    }
}

int
main (void)
{
  a_packet_is_published_with_its_end ();
  packets_before_a_part_do_not_wait ();
  gaps_between_parts_are_closed ();
  pieces_are_passed_on_as_they_come ();
  pieces_are_passed_on_without_a_copy ();
#if GENERATION >= 30
  buffers_behind_a_part_change_places ();
  buffers_behind_a_part_are_given_up ();
#endif
  a_packet_without_end_is_refused ();
  bad_parts_are_refused ();
  a_part_goes_with_its_link ();
  the_end_of_a_link_makes_no_queue_readable ();
  return 0;
}
