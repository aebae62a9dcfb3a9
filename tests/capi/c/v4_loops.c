/* Generation 4: event loops, the program's and the library's. */
#include "v4.h"

/* --- The program's own event loop --- */

static int watched_fds[1024], watch_calls, refuse_watches, epoll_fd = -1;

static int
on_fd (memif_fd_event_t event, void *ctx)
{
  end_t *end = ctx;
  CHECK (end != NULL);
  CHECK (event.fd >= 0 && event.fd < 1024 && event.private_ctx != NULL);
  CHECK (fcntl (event.fd, F_GETFD) >= 0); /* open, also when it is on its way out */
  watch_calls++;
  struct epoll_event entry = { .events = 0, .data = { .ptr = event.private_ctx } };
  if (event.type & MEMIF_FD_EVENT_READ)
    entry.events |= EPOLLIN;
  if (event.type & MEMIF_FD_EVENT_WRITE)
    entry.events |= EPOLLOUT;
  if (event.type & MEMIF_FD_EVENT_DEL)
    {
      CHECK (watched_fds[event.fd] == 1);
      watched_fds[event.fd] = 0;
      return epoll_ctl (epoll_fd, EPOLL_CTL_DEL, event.fd, NULL);
    }
  if (event.type & MEMIF_FD_EVENT_MOD)
    {
      CHECK (watched_fds[event.fd] == 1);
      return epoll_ctl (epoll_fd, EPOLL_CTL_MOD, event.fd, &entry);
    }
  CHECK (watched_fds[event.fd] == 0);
  if (refuse_watches)
    return -1;
  watched_fds[event.fd] = 1;
  return epoll_ctl (epoll_fd, EPOLL_CTL_ADD, event.fd, &entry);
}

static void
run_own_loop (void)
{
  struct epoll_event events[8];
  int n = epoll_wait (epoll_fd, events, 8, 10);
  for (int i = 0; i < n; i++)
    OK (memif_control_fd_handler (events[i].data.ptr, MEMIF_FD_EVENT_READ));
}

static int
read_one (void *conn, void *ctx, uint16_t qid)
{
  memif_buffer_t bufs[8];
  uint16_t n;
  (void) ctx;
  OK (memif_rx_burst (conn, qid, bufs, 8, &n));
  OK (memif_refill_queue (conn, qid, n, 0));
  return 0;
}

static void
own_event_loop (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  epoll_fd = epoll_create1 (0);
  memif_socket_args_t args = { .on_control_fd_update = on_fd };
  snprintf (args.path, sizeof args.path, "%s", path);
  pair.master.on_interrupt = pair.slave.on_interrupt = read_one;
  OK (memif_create_socket (&pair.master.sock, &args, &pair.master));
  OK (memif_create_socket (&pair.slave.sock, &args, &pair.slave));
  CHECK_ERR (memif_poll_event (pair.master.sock, 0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_cancel_poll_event (pair.master.sock), MEMIF_ERR_INVAL_ARG);
  create_end (&pair.master, (memif_conn_args_t){ .num_s2m_rings = 2 }, 1);
  CHECK (watched_fds[memif_get_listener_fd (pair.master.sock)] == 1);
  create_end (&pair.slave, (memif_conn_args_t){ .num_s2m_rings = 2 }, 0);
  UNTIL (pair.master.connects && pair.slave.connects, run_own_loop ());
  int efd;
  OK (memif_get_queue_efd (pair.master.conn, 1, &efd));
  CHECK (watched_fds[efd] == 1);
  send_marked (pair.slave.conn, 4, 64, 0);
  UNTIL (pair.master.interrupts, run_own_loop ());
  const int interrupts = pair.master.interrupts;
  for (int i = 0; i < 3; i++)
    run_own_loop (); /* the event was consumed: quiet again */
  CHECK (pair.master.interrupts == interrupts);
  /* The slave's program deletes its interface in a callback of the end of the link. */
  pair.slave.delete_on_disconnect = 1;
  OK (memif_delete (&pair.master.conn));
  UNTIL (pair.slave.conn == NULL, run_own_loop ());
  CHECK (pair.master.disconnects == 1 && pair.slave.disconnects == 1);
  close_pair (&pair);
  for (int fd = 0; fd < 1024; fd++)
    CHECK (watched_fds[fd] == 0);

  refuse_watches = 1;
  CHECK_ERR (memif_create_socket (&pair.slave.sock, &args, &pair.slave), MEMIF_ERR_CB_FDUPDATE);
  refuse_watches = 0;
  OK (memif_create_socket (&pair.master.sock, &args, &pair.master));
  refuse_watches = 1;
  memif_conn_args_t master = { .socket = pair.master.sock, .is_master = 1 };
  CHECK_ERR (memif_create (&pair.master.conn, &master, NULL, NULL, NULL, NULL), MEMIF_ERR_CB_FDUPDATE);
  CHECK (pair.master.conn == NULL);
  refuse_watches = 0;
  OK (memif_delete_socket (&pair.master.sock));
  for (int fd = 0; fd < 1024; fd++)
    CHECK (watched_fds[fd] == 0);
  close (epoll_fd);
}

/* The link ends before the program was told of it: it is told of neither. */
static void
an_interrupt_that_the_program_refuses (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  epoll_fd = epoll_create1 (0);
  open_socket (&pair.master, path, "app-m");
  create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
  memif_socket_args_t args = { .on_control_fd_update = on_fd };
  snprintf (args.path, sizeof args.path, "%s", path);
  pair.slave.on_interrupt = read_one;
  OK (memif_create_socket (&pair.slave.sock, &args, &pair.slave));
  create_end (&pair.slave, (memif_conn_args_t){ 0 }, 0);
  refuse_watches = 1; /* the next one to be watched is the queue's */
  int err = MEMIF_ERR_SUCCESS;
  while (err == MEMIF_ERR_SUCCESS)
    {
      OK (memif_poll_event (pair.master.sock, 1));
      struct epoll_event event;
      if (epoll_wait (epoll_fd, &event, 1, 1) == 1)
        err = memif_control_fd_handler (event.data.ptr, MEMIF_FD_EVENT_READ);
    }
  CHECK_ERR (err, MEMIF_ERR_CB_FDUPDATE);
  UNTIL (pair.master.disconnects, OK (memif_poll_event (pair.master.sock, 1)));
  CHECK (pair.slave.connects == 0 && pair.slave.disconnects == 0);

  refuse_watches = 0;
  OK (memif_request_connection (pair.slave.conn));
  UNTIL (pair.slave.connects, OK (memif_poll_event (pair.master.sock, 1)); run_own_loop ());
  close_pair (&pair);
  CHECK (pair.slave.disconnects == 1);
  close (epoll_fd);
}

/* --- Polling --- */

static memif_socket_handle_t to_cancel;

static void
cancel_in_signal (int number)
{
  (void) number;
  memif_cancel_poll_event (to_cancel);
}

static void
nothing (int number)
{
  (void) number;
}

static void *
cancel_from_thread (void *sock)
{
  OK (memif_cancel_poll_event (sock));
  return NULL;
}

static void
cancel_wakes_once (void)
{
  end_t end = { 0 };
  open_socket (&end, unique_path (), "");
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, cancel_from_thread, end.sock) == 0);
  CHECK_ERR (memif_poll_event (end.sock, -1), MEMIF_ERR_POLL_CANCEL);
  pthread_join (thread, NULL);
  OK (memif_poll_event (end.sock, 0));
  /* Before the poll, and twice: still once. */
  OK (memif_cancel_poll_event (end.sock));
  OK (memif_cancel_poll_event (end.sock));
  CHECK_ERR (memif_poll_event (end.sock, -1), MEMIF_ERR_POLL_CANCEL);
  OK (memif_poll_event (end.sock, 0));
  to_cancel = end.sock;
  signal (SIGALRM, cancel_in_signal);
  struct itimerspec soon = { .it_value.tv_nsec = 20000000 };
  timer_t timer;
  CHECK (timer_create (CLOCK_MONOTONIC, NULL, &timer) == 0);
  CHECK (timer_settime (timer, 0, &soon, NULL) == 0);
  int err;
  do /* the signal itself may end a poll before its cancel does */
    err = memif_poll_event (end.sock, -1);
  while (err == MEMIF_ERR_SUCCESS);
  CHECK_ERR (err, MEMIF_ERR_POLL_CANCEL);
  timer_delete (timer);
  close_end (&end);
}

static void
signals_end_no_link (void)
{
  pair_t pair = { 0 };
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  struct sigaction action = { .sa_handler = nothing }; /* no SA_RESTART */
  sigaction (SIGALRM, &action, NULL);
  struct itimerspec soon = { .it_value.tv_nsec = 20000000 };
  timer_t timer;
  CHECK (timer_create (CLOCK_MONOTONIC, NULL, &timer) == 0);
  CHECK (timer_settime (timer, 0, &soon, NULL) == 0);
  OK (memif_poll_event (pair.master.sock, 5000)); /* ended by the signal */
  CHECK (pair.master.disconnects == 0);
  timer_delete (timer);
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  CHECK (send_marked (pair.master.conn, 1, 64, 0) == 1);
  close_pair (&pair);
}

static int
return_42 (void *conn, void *ctx, uint16_t qid)
{
  read_one (conn, ctx, qid);
  return 42;
}

static void
library_polls_interrupts_too (void)
{
  pair_t pair = { 0 };
  pair.master.on_interrupt = return_42;
  connect_pair (&pair, (memif_conn_args_t){ 0 });
  send_marked (pair.slave.conn, 2, 64, 0);
  CHECK (memif_poll_event (pair.master.sock, 5000) == 42);
  CHECK (pair.master.interrupts == 1);
  OK (memif_poll_event (pair.master.sock, 0));
  close_pair (&pair);
}

/* A master that comes after several periods of the slave's timer is found. */
static void
a_slave_tries_again_and_again (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  OK (memif_set_connection_request_timer (pair.slave.sock, (struct itimerspec){ { 0, 1000000 }, { 0, 1000000 } }));
  create_end (&pair.slave, (memif_conn_args_t){ 0 }, 0);
  for (int i = 0; i < 5; i++)
    OK (memif_poll_event (pair.slave.sock, 1000)); /* each ends with a try */
  create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
  UNTIL (pair.master.connects && pair.slave.connects, poll_both (&pair));
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (a_slave_tries_again_and_again),
  CASE (own_event_loop),
  CASE (an_interrupt_that_the_program_refuses),
  CASE (cancel_wakes_once),
  CASE (signals_end_no_link),
  CASE (library_polls_interrupts_too),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
