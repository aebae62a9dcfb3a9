/* How programs wait, in the generation that GENERATION names; compiled once for each: the descriptors that they watch,
 * and what ends a wait of the library's. */
#include "both_ends.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

enum
{
  most_fds = 1024
};
static struct
{
  int watched;
  void *token;
} fds[most_fds];

static int
on_fd (on_fd_arguments)
{
  const int fd = event_fd;
  CHECK (fd < most_fds && fcntl (fd, F_GETFD) >= 0); /* also when it is about to be closed */
  CHECK (fds[fd].watched == ((event_bits & (MEMIF_FD_EVENT_DEL | MEMIF_FD_EVENT_MOD)) != 0));
  fds[fd].watched = (event_bits & MEMIF_FD_EVENT_DEL) == 0;
  fds[fd].token = event_token;
  return 0;
}

static int
watched_count (void)
{
  int count = 0;
  for (int fd = 0; fd < most_fds; fd++)
    count += fds[fd].watched;
  return count;
}

static void
handle_what_is_ready (void)
{
  for (int fd = 0; fd < most_fds; fd++)
    if (fds[fd].watched && readable (fd))
      OK (handle_event (fd, fds[fd].token, MEMIF_FD_EVENT_READ));
}

static void
all_descriptors_come_through_the_callback (void)
{
  master = slave = (end_t){ 0 };
  path = unique_path ();
  OK (start (on_fd));
  const int at_first = watched_count ();
  CHECK (at_first > 0); /* the timer */
  create (&master, 1, on_interrupt);
  CHECK (watched_count () == at_first + 1); /* the listener */
  create (&slave, 0, on_interrupt);
  UNTIL (master.connects && slave.connects, handle_what_is_ready ());
  /* Two ends of a control channel, and a receive queue of each. */
  CHECK (watched_count () == at_first + 1 + 4);
  for (int i = 0; i < 2; i++)
    {
      end_t *from = i ? &master : &slave, *to = i ? &slave : &master;
      CHECK (send_packets (from->conn, 3, 60) == 3);
      UNTIL (to->interrupts, handle_what_is_ready ());
    }
  OK (memif_delete (&slave.conn));
  UNTIL (master.disconnects, handle_what_is_ready ());
  CHECK (watched_count () == at_first + 1);
  OK (memif_delete (&master.conn));
  OK (stop ());
  CHECK (watched_count () == 0);
}

/* A program that polls by itself has nothing to cancel. In the older generations that is no error. */
static void
there_is_nothing_to_cancel_with_a_callback (void)
{
  path = unique_path ();
  OK (start (on_fd));
  CHECK_ERR (cancel (), GENERATION == 40 ? MEMIF_ERR_INVAL_ARG : MEMIF_ERR_SUCCESS);
  OK (stop ());
}

static void
cancel_in_a_signal (int number)
{
  (void) number;
  OK (cancel ());
}

static void *
cancel_in_a_thread (void *unused)
{
  OK (cancel ());
  return unused;
}

static void
cancel_wakes_one_poll_once (void)
{
  connect_both ();
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, cancel_in_a_thread, NULL) == 0);
  CHECK_ERR (poll_for (-1), MEMIF_ERR_POLL_CANCEL);
  CHECK (pthread_join (thread, NULL) == 0);
  OK (poll_for (0));
  signal (SIGALRM, cancel_in_a_signal);
  const struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
  CHECK (setitimer (ITIMER_REAL, &soon, NULL) == 0);
  int err;
  while ((err = poll_for (-1)) == MEMIF_ERR_SUCCESS) /* the signal itself only ends the wait */
    ;
  CHECK (err == MEMIF_ERR_POLL_CANCEL);
  OK (poll_for (0));
  CHECK (slave.disconnects == 0 && master.disconnects == 0);
  end_both ();
}

static void
do_nothing (int number)
{
  (void) number;
}

static void
signals_end_a_wait_and_no_link (void)
{
  connect_both ();
  const struct sigaction action = { .sa_handler = do_nothing };
  sigaction (SIGALRM, &action, NULL);
  const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
  CHECK (setitimer (ITIMER_REAL, &often, NULL) == 0);
  for (int i = 0; i < 20; i++)
    OK (poll_for (100));
  CHECK (setitimer (ITIMER_REAL, &never, NULL) == 0);
  CHECK (slave.disconnects == 0 && send_packets (slave.conn, 1, 60) == 1);
  end_both ();
}

int
main (void)
{
  all_descriptors_come_through_the_callback ();
  there_is_nothing_to_cancel_with_a_callback ();
  cancel_wakes_one_poll_once ();
  signals_end_a_wait_and_no_link ();
  return 0;
}
