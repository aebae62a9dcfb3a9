/* A program that forks, in the generation that GENERATION names; compiled once for each. */
#include "both_ends.h"

#include <pthread.h>
#include <sys/wait.h>

static int entered, leave, stop_polling;

#define SET(flag) __atomic_store_n (&flag, 1, __ATOMIC_RELEASE)
#define IS_SET(flag) __atomic_load_n (&flag, __ATOMIC_ACQUIRE)

/* A callback that takes its time. */
static int
on_slow_connect (memif_conn_handle_t conn, void *ctx)
{
  on_connect (conn, ctx);
  SET (entered);
  UNTIL (IS_SET (leave), poll (NULL, 0, 1));
  return 0;
}

static void *
poll_all (void *ctx)
{
  while (!IS_SET (stop_polling))
    OK (poll_for (1));
  return ctx;
}

/* The child has none of the threads that its parent's callbacks run on, and waits for none. */
static void
a_child_ends_what_it_has_while_its_parent_is_in_a_callback (void)
{
  start_at (unique_path ());
  create (&master, 1, NULL);
  const memif_conn_args_t args = { .buffer_size = buffer_size, .log2_ring_size = 4 };
  OK (create_with (&slave.conn, args, on_slow_connect, on_disconnect, NULL, &slave));
  pthread_t thread;
  CHECK (pthread_create (&thread, NULL, poll_all, NULL) == 0);
  UNTIL (IS_SET (entered), poll (NULL, 0, 1));
  const pid_t child = fork ();
  if (child == 0)
    {
      alarm (20);
      OK (memif_delete (&slave.conn));
      OK (memif_delete (&master.conn));
      OK (stop ());
      _exit (0);
    }
  int status = -1;
  CHECK (waitpid (child, &status, 0) == child && status == 0);
  SET (leave);
  SET (stop_polling);
  CHECK (pthread_join (thread, NULL) == 0);
  CHECK (slave.disconnects == 0 && master.disconnects == 0);
  end_both ();
}

int
main (void)
{
  a_child_ends_what_it_has_while_its_parent_is_in_a_callback ();
  return 0;
}
