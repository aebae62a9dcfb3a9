/* Generations 2 and 2.1, GENERATION says which: what programs depend on. Compiled from the installed tree. Master and
 * slave live on the one instance; a case has another process as its peer. */
#include "generations.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>

static void
create (end_t *end, int master, memif_interrupt_t *interrupt)
{
  memif_conn_args_t args = { .is_master = (uint8_t) master, .interface_id = 3 };
  snprintf ((char *) args.interface_name, sizeof args.interface_name, "end-%d", master);
  OK (create_with (&end->conn, args, on_connect, on_disconnect, interrupt, end));
}

static void
before_init (void)
{
  end_t end = { 0 };
  memif_conn_args_t args = { 0 };
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_poll_event (0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_cancel_poll_event (), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_control_fd_handler (0, MEMIF_FD_EVENT_READ), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_cleanup (), MEMIF_ERR_INVAL_ARG);
  OK (init (NULL, NULL, NULL, NULL, NULL)); /* opens what the process keeps */
  OK (memif_cleanup ());
  CHECK (memif_get_version () == 0x0200);
  for (int i = 0; i <= MEMIF_ERR_PRIVHDR; i++)
    for (int j = 0; j < i; j++)
      CHECK (strcmp (memif_strerror (i), memif_strerror (j)) != 0);
  CHECK (strstr (memif_strerror (MEMIF_ERR_ACCES), "permission") != NULL);
  CHECK (strstr (memif_strerror (MEMIF_ERR_NOCONN), "handle") != NULL);
  CHECK (strlen (memif_strerror (-5)) > 3 && strlen (memif_strerror (99)) > 3);
}

static void
library_polling (void)
{
  end_t master = { 0 }, slave = { 0 };
  path = unique_path ();
  const int fds = count_fds ();
  OK (init (NULL, NULL, NULL, NULL, NULL));
  CHECK_ERR (init (NULL, NULL, NULL, NULL, NULL), MEMIF_ERR_ALREADY);
  create (&slave, 0, NULL); /* nobody there yet */
  CHECK (slave.conn != NULL);
  memif_buffer_t bufs[64];
  uint16_t n;
  CHECK_ERR (memif_rx_burst (slave.conn, 0, bufs, 64, &n), MEMIF_ERR_DISCONNECTED);
  create (&master, 1, NULL);
  const time_t start = time (NULL);
  UNTIL (master.connects && slave.connects, OK (memif_poll_event (100))); /* by the timer of two seconds */
  CHECK (time (NULL) - start <= 5);

  CHECK (send_packets (slave.conn, 40, 100) == 40);
  int efd = -1;
  OK (memif_get_queue_efd (master.conn, 0, &efd));
  CHECK (readable (efd));
  CHECK_ERR (memif_rx_burst (master.conn, 0, bufs, 32, &n), MEMIF_ERR_NOBUF);
  CHECK (n == 32 && readable (efd));
  OK (memif_rx_burst (master.conn, 0, bufs, 32, &n));
  CHECK (n == 8 && !readable (efd) && bufs[7].len == 100 && *(char *) bufs[7].data == 39);
  OK (refill (master.conn, 0, -1));
  CHECK (send_packets (master.conn, 5, 5000) == 15);
  OK (memif_rx_burst (slave.conn, 0, bufs, 64, &n));
  CHECK (n == 15 && (bufs[0].flags & MEMIF_BUFFER_FLAG_NEXT) && !(bufs[2].flags & MEMIF_BUFFER_FLAG_NEXT)
         && bufs[2].len == 5000 - 2 * 2048);
  OK (memif_set_rx_mode (slave.conn, MEMIF_RX_MODE_POLLING, 0));
  CHECK_ERR (memif_set_rx_mode (slave.conn, MEMIF_RX_MODE_POLLING, 1), MEMIF_ERR_QID);

  char buf[4096];
  memif_details_t md;
  OK (memif_get_details (slave.conn, &md, buf, sizeof buf));
  CHECK (strcmp ((char *) md.inst_name, MEMIF_DEFAULT_APP_NAME) == 0 && strcmp ((char *) md.if_name, "end-0") == 0);
  CHECK (strcmp ((char *) md.remote_if_name, "end-1") == 0 && strcmp ((char *) md.socket_filename, path) == 0);
  CHECK (md.role == 1 && md.id == 3 && md.link_up_down == 1 && md.rx_queues_num == 1 && md.tx_queues_num == 1);
  CHECK (md.rx_queues[0].ring_size == 1024 && md.tx_queues[0].head == 40 && md.secret == NULL);

  OK (memif_cancel_poll_event ());
  CHECK_ERR (memif_poll_event (-1), MEMIF_ERR_POLL_CANCEL);
  OK (memif_poll_event (0));
  OK (memif_delete (&master.conn));
  CHECK (master.conn == NULL && master.disconnects == 1);
  UNTIL (slave.disconnects, OK (memif_poll_event (100)));
  CHECK_ERR (memif_tx_burst (slave.conn, 0, bufs, 1, &n), MEMIF_ERR_DISCONNECTED);
  /* Cleaning up takes along what is left. */
  OK (memif_cleanup ());
  CHECK (fds_come_down_to (fds));
}

static void
a_failed_call_is_explained (void)
{
  end_t end = { 0 };
  path = unique_path ();
  OK (init (NULL, "first", NULL, NULL, NULL));
  create (&end, 1, NULL);
  int status;
  const pid_t child = fork ();
  if (child == 0)
    {
      end_t other = { 0 };
      OK (memif_cleanup ()); /* what the parent bound stays */
      OK (init (NULL, "second", NULL, NULL, NULL));
      memif_conn_args_t args = { .socket_filename = (uint8_t *) path, .is_master = 1 };
      CHECK_ERR (memif_create (&other.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_SYSCALL);
      CHECK (errno == EADDRINUSE && strstr (memif_strerror (MEMIF_ERR_SYSCALL), path) != NULL);
      _exit (0);
    }
  CHECK (waitpid (child, &status, 0) == child && status == 0);
  CHECK (access (path, F_OK) == 0);
  OK (memif_cleanup ());
  CHECK (access (path, F_OK) != 0);
}

static int epoll_fd, watched[1024];

static int
on_fd (int fd, uint8_t events)
{
  struct epoll_event entry = { .events = 0, .data = { .fd = fd } };
  CHECK (fcntl (fd, F_GETFD) >= 0);
  if (events & MEMIF_FD_EVENT_DEL)
    {
      CHECK (watched[fd]);
      watched[fd] = 0;
      return epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    }
  if (events & MEMIF_FD_EVENT_READ)
    entry.events |= EPOLLIN;
  if (events & MEMIF_FD_EVENT_WRITE)
    entry.events |= EPOLLOUT;
  CHECK (watched[fd] == ((events & MEMIF_FD_EVENT_MOD) != 0));
  watched[fd] = 1;
  return epoll_ctl (epoll_fd, events & MEMIF_FD_EVENT_MOD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &entry);
}

static int
watched_count (void)
{
  int count = 0;
  for (int fd = 0; fd < 1024; fd++)
    count += watched[fd];
  return count;
}

static void
run_own_loop (void)
{
  struct epoll_event events[8];
  const int n = epoll_wait (epoll_fd, events, 8, 10);
  for (int i = 0; i < n; i++)
    OK (memif_control_fd_handler (events[i].data.fd, MEMIF_FD_EVENT_READ));
}

static void
own_event_loop (void)
{
  end_t master = { 0 }, slave = { 0 };
  path = unique_path ();
  epoll_fd = epoll_create1 (0);
  OK (init (on_fd, "app", counting_alloc, counting_realloc, counting_free));
  CHECK (watched_count () >= 1 && live_blocks > 0); /* the timer is there from the start */
  CHECK_ERR (memif_poll_event (0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_control_fd_handler (-1, MEMIF_FD_EVENT_READ), MEMIF_ERR_BAD_FD);
  OK (memif_control_fd_handler (0, MEMIF_FD_EVENT_READ)); /* not ours: no harm */
  create (&master, 1, on_interrupt);
  create (&slave, 0, on_interrupt);
  UNTIL (master.connects && slave.connects, run_own_loop ());
  CHECK (send_packets (slave.conn, 10, 60) == 10);
  UNTIL (master.interrupts, run_own_loop ());
  CHECK (send_packets (master.conn, 10, 60) == 10);
  UNTIL (slave.interrupts, run_own_loop ());
  OK (memif_delete (&slave.conn));
  UNTIL (master.disconnects, run_own_loop ());
  OK (memif_delete (&master.conn));
  OK (memif_cleanup ());
  CHECK (watched_count () == 0 && live_blocks == 0);
  close (epoll_fd);
}

static void
allocators_may_fail (void)
{
  const int fds = count_fds ();
  int err = MEMIF_ERR_NOMEM;
  for (fail_after = 0; err == MEMIF_ERR_NOMEM; fail_after++)
    {
      allocations = 0;
      end_t end = { 0 };
      memif_conn_args_t args = { .socket_filename = (uint8_t *) unique_path () };
      err = init (NULL, NULL, counting_alloc, counting_realloc, counting_free);
      if (err == MEMIF_ERR_SUCCESS)
        {
          err = memif_create (&end.conn, &args, NULL, NULL, NULL, NULL);
          CHECK ((err == MEMIF_ERR_SUCCESS) == (end.conn != NULL));
          OK (memif_cleanup ());
        }
      CHECK (live_blocks == 0 && fds_come_down_to (fds));
    }
  OK (err);
  CHECK (fail_after > 4);
  fail_after = -1;
}

static volatile int stop_poller;

static void *
poll_queue (void *argument)
{
  end_t *end = argument;
  unsigned long total = 0;
  while (!stop_poller)
    {
      memif_buffer_t bufs[32];
      uint16_t n = 0, sent;
      memif_rx_burst (end->conn, 0, bufs, 32, &n);
      total += n;
      refill (end->conn, 0, n);
      memif_buffer_alloc (end->conn, 0, bufs, 8, &n, 64);
      memif_tx_burst (end->conn, 0, bufs, n, &sent);
    }
  CHECK (total > 0);
  return NULL;
}

/* Sends, and writes a byte for each burst that has come back. Never ends. */
static void
be_the_peer (char *at)
{
  end_with_the_parent ();
  end_t slave = { 0 };
  path = at;
  OK (init (NULL, "s", NULL, NULL, NULL));
  create (&slave, 0, NULL);
  for (;;)
    {
      memif_poll_event (1);
      memif_buffer_t bufs[32];
      uint16_t n = 0;
      if (!slave.connects)
        continue;
      send_packets (slave.conn, 8, 64);
      memif_rx_burst (slave.conn, 0, bufs, 32, &n);
      refill (slave.conn, 0, n);
      if (n != 0 && write (STDOUT_FILENO, "x", 1) != 1)
        _exit (1);
    }
}

static void
a_worker_survives_a_peer_that_dies (char *const program[])
{
  end_t master = { 0 };
  path = unique_path ();
  pthread_t thread;
  OK (init (NULL, "m", NULL, NULL, NULL));
  create (&master, 1, NULL);
  CHECK (pthread_create (&thread, NULL, poll_queue, &master) == 0);
  for (int i = 1; i <= 5; i++)
    {
      int ready[2];
      char byte;
      CHECK (pipe (ready) == 0);
      const pid_t child = start_peer (program, path, ready[1]);
      close (ready[1]);
      UNTIL (readable (ready[0]), OK (memif_poll_event (10)));
      CHECK (read (ready[0], &byte, 1) == 1);
      kill (child, SIGKILL);
      waitpid (child, NULL, 0);
      close (ready[0]);
      UNTIL (master.disconnects == i, OK (memif_poll_event (10)));
    }
  stop_poller = 1;
  pthread_join (thread, NULL);
  OK (memif_delete (&master.conn));
  OK (memif_cleanup ());
}

int
main (int argc, char *argv[])
{
  if (argc == 2)
    be_the_peer (argv[1]);
  before_init ();
  library_polling ();
  a_failed_call_is_explained ();
  own_event_loop ();
  allocators_may_fail ();
  a_worker_survives_a_peer_that_dies (argv);
  return 0;
}
