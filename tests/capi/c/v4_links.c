/* Generation 4: links: details, refusals, reconnecting, peers that die, workers. */
#include "v4.h"

/* --- Reconnecting --- */

static void
down_means_disconnected (memif_conn_handle_t conn)
{
  memif_buffer_t bufs[4] = { 0 };
  uint16_t n = 9;
  int fd;
  CHECK_ERR (memif_rx_burst (conn, 0, bufs, 4, &n), MEMIF_ERR_DISCONNECTED);
  CHECK (n == 0);
  CHECK_ERR (memif_tx_burst (conn, 0, bufs, 4, &n), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_buffer_alloc (conn, 0, bufs, 4, &n, 64), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_refill_queue (conn, 0, -1, 0), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_set_next_free_buffer (conn, 0, bufs), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_get_queue_efd (conn, 0, &fd), MEMIF_ERR_DISCONNECTED);
  CHECK (fd == -1);
}

static void
slaves_reconnect_by_the_timer_only (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.slave, path, "s");
  create_end (&pair.slave, (memif_conn_args_t){ 0 }, 0);
  down_means_disconnected (pair.slave.conn);
  uint16_t n;
  memif_buffer_t buf;
  CHECK_ERR (memif_buffer_enq_tx (pair.slave.conn, 0, &buf, 1, &n), MEMIF_ERR_DISCONNECTED);
  open_socket (&pair.master, path, "m");
  create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
  for (int i = 0; i < 50; i++)
    poll_both (&pair);
  CHECK (pair.slave.connects == 0); /* no timer, no second try */
  OK (memif_request_connection (pair.slave.conn));
  CHECK_ERR (memif_request_connection (pair.slave.conn), MEMIF_ERR_ALRCONN);
  UNTIL (pair.master.connects == 1 && pair.slave.connects == 1, poll_both (&pair));

  struct itimerspec fast = { .it_interval.tv_nsec = 5000000 };
  CHECK_ERR (memif_set_connection_request_timer (NULL, fast), MEMIF_ERR_INVAL_ARG);
  OK (memif_set_connection_request_timer (pair.slave.sock, fast));
  for (int i = 2; i < 6; i++)
    {
      OK (memif_delete (&pair.master.conn));
      UNTIL (pair.slave.disconnects == i - 1, OK (memif_poll_event (pair.slave.sock, 10)));
      down_means_disconnected (pair.slave.conn);
      create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
      UNTIL (pair.master.connects == i && pair.slave.connects == i, poll_both (&pair));
      OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
      CHECK (send_marked (pair.master.conn, 8, 64, 0) == 8);
      CHECK (send_marked (pair.slave.conn, 8, 64, 0) == 8);
      /* Allocated, never sent, and gone with the link. */
      memif_buffer_t bufs[8];
      OK (memif_buffer_alloc (pair.slave.conn, 0, bufs, 8, &n, 64));
    }
  /* Stopped again: never, and as good as never. */
  static const struct itimerspec timers[]
      = { { { 0, 0 }, { 0, 0 } }, { { INT64_MAX, 999999999 }, { INT64_MAX, 999999999 } } };
  OK (memif_set_connection_request_timer (pair.slave.sock, timers[0]));
  OK (memif_delete (&pair.master.conn));
  UNTIL (pair.slave.disconnects == 5, OK (memif_poll_event (pair.slave.sock, 10)));
  create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
  for (int i = 0; i < 100; i++, poll_both (&pair))
    OK (memif_set_connection_request_timer (pair.slave.sock, timers[i / 50]));
  CHECK (pair.slave.connects == 5);
  close_pair (&pair);
}

static void
a_peer_that_dies_is_survived (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
  for (int i = 1; i < 4; i++)
    {
      const pid_t child = fork ();
      if (child == 0)
        {
          prctl (PR_SET_PDEATHSIG, SIGKILL);
          open_socket (&pair.slave, path, "s");
          create_end (&pair.slave, (memif_conn_args_t){ 0 }, 0);
          for (;;)
            {
              memif_poll_event (pair.slave.sock, 10);
              memif_buffer_t bufs[32];
              uint16_t n, sent;
              if (memif_buffer_alloc (pair.slave.conn, 0, bufs, 32, &n, 64) != MEMIF_ERR_DISCONNECTED && n)
                memif_tx_burst (pair.slave.conn, 0, bufs, n, &sent);
            }
        }
      UNTIL (pair.master.connects == i, OK (memif_poll_event (pair.master.sock, 10)));
      memif_buffer_t bufs[32];
      uint16_t n = 0;
      UNTIL (n != 0, memif_rx_burst (pair.master.conn, 0, bufs, 32, &n));
      kill (child, SIGKILL);
      waitpid (child, NULL, 0);
      UNTIL (pair.master.disconnects == i, OK (memif_poll_event (pair.master.sock, 10)));
      ((volatile char *) bufs[0].data)[0]; /* still mapped: the queue has not been called since */
      down_means_disconnected (pair.master.conn);
    }
  close_end (&pair.master);
}

/* --- Threads --- */

typedef struct
{
  end_t *end;
  int stop; /* atomic */
  unsigned long packets, outages;
} worker_t;

static void *
work (void *argument)
{
  worker_t *worker = argument;
  while (!__atomic_load_n (&worker->stop, __ATOMIC_RELAXED))
    {
      memif_buffer_t bufs[32];
      uint16_t n = 0, sent;
      int err = memif_rx_burst (worker->end->conn, 0, bufs, 32, &n);
      worker->packets += n;
      worker->outages += err == MEMIF_ERR_DISCONNECTED;
      memif_refill_queue (worker->end->conn, 0, n, 0);
      memif_buffer_alloc (worker->end->conn, 0, bufs, 32, &n, 64);
      memif_tx_burst (worker->end->conn, 0, bufs, n, &sent);
      if (err == MEMIF_ERR_DISCONNECTED)
        sched_yield ();
    }
  return NULL;
}

static int
refill_on_connect (memif_conn_handle_t conn, void *ctx)
{
  on_connect (conn, ctx);
  OK (memif_refill_queue (conn, 0, -1, 0)); /* while the worker is at it */
  OK (memif_set_rx_mode (conn, ((end_t *) ctx)->connects % 2 ? MEMIF_RX_MODE_POLLING : MEMIF_RX_MODE_INTERRUPT, 0));
  return 0;
}

static void
workers_survive_disconnects (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  struct itimerspec fast = { .it_interval.tv_nsec = 2000000 };
  OK (memif_set_connection_request_timer (pair.slave.sock, fast));
  memif_conn_args_t args = { .socket = pair.slave.sock };
  OK (memif_create (&pair.slave.conn, &args, refill_on_connect, on_disconnect, NULL, &pair.slave));
  worker_t worker = { .end = &pair.slave };
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, work, &worker) == 0);
  for (int i = 1; i <= 30; i++)
    {
      create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
      UNTIL (pair.slave.connects == i && pair.master.connects == i, poll_both (&pair));
      memif_buffer_t bufs[64];
      uint16_t n = 0;
      UNTIL (n != 0, {
        memif_rx_burst (pair.master.conn, 0, bufs, 64, &n);
        sched_yield ();
      });
      memif_refill_queue (pair.master.conn, 0, n, 0);
      UNTIL (send_marked (pair.master.conn, 16, 64, 0), sched_yield ());
      OK (memif_delete (&pair.master.conn));
      UNTIL (pair.slave.disconnects == i, OK (memif_poll_event (pair.slave.sock, 1)));
    }
  __atomic_store_n (&worker.stop, 1, __ATOMIC_RELAXED);
  pthread_join (thread, NULL);
  CHECK (worker.outages != 0);
  close_pair (&pair);
}

static void
details_are_complete (void)
{
  pair_t pair = { 0 };
  memif_conn_args_t args = { .num_s2m_rings = 2,
                             .num_m2s_rings = 3,
                             .interface_id = 7,
                             .log2_ring_size = 4,
                             .mode = MEMIF_INTERFACE_MODE_IP,
                             .secret = "abracadabra" };
  connect_pair (&pair, args);
  OK (memif_refill_queue (pair.slave.conn, 1, 5, 0));
  send_marked (pair.slave.conn, 3, 64, 0);
  char buf[8192];
  memif_details_t md;
  memset (&md, 0xff, sizeof md);
  OK (memif_get_details (pair.slave.conn, &md, buf, sizeof buf));
  CHECK (strcmp ((char *) md.if_name, "the-slave") == 0 && strcmp ((char *) md.inst_name, "app-s") == 0);
  CHECK (strcmp ((char *) md.remote_if_name, "the-master") == 0 && strcmp ((char *) md.remote_inst_name, "app-m") == 0);
  CHECK (md.id == 7 && md.role == 1 && md.mode == 1 && strcmp ((char *) md.secret, "abracadabra") == 0);
  CHECK (strcmp ((char *) md.socket_path, memif_get_socket_path (pair.slave.sock)) == 0);
  CHECK (md.regions_num == 1 && md.regions[0].index == 0);
  CHECK (md.regions[0].size >= 5 * 16 * 2048 && md.regions[0].fd >= 0 && !md.regions[0].is_external);
  CHECK (md.rx_queues_num == 3 && md.tx_queues_num == 2 && md.link_up_down == 1);
  CHECK (md.rx_queues[1].qid == 1 && md.rx_queues[1].head == 5 && md.rx_queues[1].tail == 0);
  CHECK (md.tx_queues[0].head == 3 && md.tx_queues[0].tail == 0 && md.tx_queues[0].ring_size == 16);
  CHECK (md.tx_queues[0].buffer_size == 2048 && md.tx_queues[0].region == 0);
  CHECK (*(uint32_t *) md.regions[0].addr == 0x3E31F20);
  /* A short buffer: what fits is there, the rest is null. At no length is anything written beyond. */
  for (ssize_t length = -1; length < 700; length++)
    {
      memset (buf, 0x7e, sizeof buf);
      int err = memif_get_details (pair.slave.conn, &md, buf, length);
      CHECK (err == MEMIF_ERR_SUCCESS || err == MEMIF_ERR_NOBUF_DET);
      CHECK (err == MEMIF_ERR_NOBUF_DET || (length > 100 && md.rx_queues != NULL));
      CHECK (md.rx_queues != NULL || md.rx_queues_num == 0);
      CHECK (buf[length < 0 ? 0 : length] == 0x7e);
      CHECK (length < 20 || md.if_name != NULL);
    }
  CHECK_ERR (memif_get_details (pair.slave.conn, NULL, buf, sizeof buf), MEMIF_ERR_INVAL_ARG);
  OK (memif_get_details (pair.master.conn, &md, buf, sizeof buf));
  CHECK (md.role == 0 && md.rx_queues_num == 2 && md.tx_queues_num == 3 && md.regions_num == 1);
  /* The last error, when the link is gone. */
  close_end (&pair.slave);
  UNTIL (pair.master.disconnects, OK (memif_poll_event (pair.master.sock, 10)));
  OK (memif_get_details (pair.master.conn, &md, buf, sizeof buf));
  CHECK (md.link_up_down == 0 && strlen ((char *) md.error) > 3 && md.regions_num == 0 && md.rx_queues_num == 0);
  close_end (&pair.master);
}

static void
refusals_tell_why (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  create_end (&pair.master, (memif_conn_args_t){ .secret = "abracadabra" }, 1);
  create_end (&pair.slave, (memif_conn_args_t){ .secret = "hocus pocus" }, 0);
  memif_details_t md = { 0 };
  char buf[4096];
  UNTIL (md.error != NULL && strstr ((char *) md.error, "secret") != NULL, {
    poll_both (&pair);
    OK (memif_get_details (pair.slave.conn, &md, buf, sizeof buf));
  });
  OK (memif_get_details (pair.master.conn, &md, buf, sizeof buf));
  CHECK (strstr ((char *) md.error, "secret") != NULL);
  close_pair (&pair);
}

/* Until the next call of its queue, also where the same call finds that the peer's ring is broken. */
static void
what_was_received_outlives_its_link (void)
{
  for (int polling = 0; polling < 2; polling++)
    {
      pair_t pair = { 0 };
      connect_pair (&pair, (memif_conn_args_t){ .log2_ring_size = 4 });
      OK (memif_set_rx_mode (pair.master.conn, polling ? MEMIF_RX_MODE_POLLING : MEMIF_RX_MODE_INTERRUPT, 0));
      CHECK (send_marked (pair.slave.conn, 3, 64, 7) == 3);
      memif_buffer_t bufs[3];
      uint16_t n;
      CHECK_ERR (memif_rx_burst (pair.master.conn, 0, bufs, 2, &n), MEMIF_ERR_NOBUF);
      CHECK (n == 2);
      memif_details_t slave = { 0 };
      char text[4096];
      OK (memif_get_details (pair.slave.conn, &slave, text, sizeof text));
      /* The head of the ring from slave to master, which is the first in the first region. */
      volatile uint16_t *const head = (volatile uint16_t *) ((uint8_t *) slave.regions[0].addr + 6);
      CHECK (*head == 3);
      *head = 5000;
      OK (memif_rx_burst (pair.master.conn, 0, bufs + 2, 1, &n));
      CHECK (n == 1);
      UNTIL (pair.master.disconnects, OK (memif_poll_event (pair.master.sock, 10)));
      for (int look = 0; look < 50; look++, poll (NULL, 0, 1))
        for (int i = 0; i < 3; i++)
          CHECK (bufs[i].len == 64 && *(volatile uint8_t *) bufs[i].data == 7 + i);
      close_pair (&pair);
    }
}

/* Packets that a worker has, of a link that goes, while another thread refills the queue for the next one, as programs
 * do in on_connect. */
typedef struct
{
  memif_conn_handle_t conn;
  memif_buffer_t bufs[3];
  atomic_int stage; /* 1: it has packets, 2: there is another link, 3: it has read them, 4: it has taken again */
} holder_t;

static void *
hold_packets (void *of)
{
  holder_t *const holder = of;
  uint16_t n = 0;
  UNTIL (n == 3, CHECK (memif_rx_burst (holder->conn, 0, holder->bufs, 3, &n) != MEMIF_ERR_QID));
  holder->stage = 1;
  UNTIL (holder->stage == 2, poll (NULL, 0, 1));
  CHECK_ERR (memif_refill_queue (holder->conn, 0, 1, 0), MEMIF_ERR_DISCONNECTED);
  for (int look = 0; look < 50; look++, poll (NULL, 0, 1))
    for (int i = 0; i < 3; i++)
      CHECK (*(volatile uint8_t *) holder->bufs[i].data == 7 + i);
  holder->stage = 3;
  memif_rx_burst (holder->conn, 0, holder->bufs, 3, &n);
  holder->stage = 4;
  return NULL;
}

static void
what_a_worker_has_outlives_its_link (void)
{
  for (int how = 0; how < 3; how++)
    {
      pair_t pair = { 0 };
      connect_pair (&pair, (memif_conn_args_t){ 0 });
      CHECK (send_marked (pair.slave.conn, 3, 64, 7) == 3);
      static holder_t holder;
      holder = (holder_t){ .conn = pair.master.conn };
      pthread_t thread;
      CHECK (pthread_create (&thread, NULL, hold_packets, &holder) == 0);
      UNTIL (holder.stage == 1, poll (NULL, 0, 1));
      if (how == 2) /* as on_connect does that comes after the worker's first call */
        OK (memif_refill_queue (pair.master.conn, 0, -1, 0));
      for (int links = 2; links < 5; links++)
        {
          OK (memif_delete (&pair.slave.conn));
          UNTIL (pair.master.disconnects == links - 1, OK (memif_poll_event (pair.master.sock, 10)));
          create_end (&pair.slave, (memif_conn_args_t){ 0 }, 0);
          UNTIL (pair.master.connects == links && pair.slave.connects == links, poll_both (&pair));
          if (how == 0)
            OK (memif_refill_queue (pair.master.conn, 0, -1, 0));
          else
            OK (memif_set_rx_mode (pair.master.conn, MEMIF_RX_MODE_POLLING, 0));
        }
      holder.stage = 2;
      CHECK (pthread_join (thread, NULL) == 0 && holder.stage == 4);
      close_pair (&pair);
    }
}

static void
many_interfaces_on_one_socket (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  enum
  {
    count = 60
  };
  static end_t masters[count], slaves[count];
  for (uint32_t i = 0; i < count; i++)
    {
      memif_conn_args_t args = { .socket = pair.master.sock, .is_master = 1, .interface_id = i, .log2_ring_size = 2 };
      OK (memif_create (&masters[i].conn, &args, on_connect, on_disconnect, NULL, &masters[i]));
      args.socket = pair.slave.sock;
      args.is_master = 0;
      OK (memif_create (&slaves[i].conn, &args, on_connect, on_disconnect, NULL, &slaves[i]));
    }
  int up = 0;
  UNTIL (up == count, {
    poll_both (&pair);
    up = 0;
    for (int i = 0; i < count; i++)
      up += masters[i].connects && slaves[i].connects;
  });
  for (uint32_t i = 0; i < count; i++)
    CHECK (send_marked (slaves[i].conn, 1, 64, 0) == 1);
  for (uint32_t i = 0; i < count; i++)
    {
      OK (memif_delete (&slaves[i].conn));
      OK (memif_delete (&masters[i].conn));
    }
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (details_are_complete),
  CASE (refusals_tell_why),
  CASE (slaves_reconnect_by_the_timer_only),
  CASE (a_peer_that_dies_is_survived),
  CASE (workers_survive_disconnects),
  CASE (what_was_received_outlives_its_link),
  CASE (what_a_worker_has_outlives_its_link),
  CASE (many_interfaces_on_one_socket),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
