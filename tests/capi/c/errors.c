/* Every error code that a function can return, in the generation that GENERATION names; compiled once for each. A
 * system call of the library's is this program's own, so that it can fail in every way. */
#include "generations.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CREATE(conn, ...) create_with (conn, (memif_conn_args_t){ __VA_ARGS__ }, NULL, NULL, NULL, NULL)

/* --- Failed system calls --- */

static int failure; /* the errno that timerfd_create fails with */

int
timerfd_create (clockid_t clock, int flags)
{
  if (failure == 0)
    return (int) syscall (SYS_timerfd_create, clock, flags);
  errno = failure;
  return -1;
}

static void *
explain_elsewhere (void *code)
{
  return strdup (memif_strerror (*(int *) code));
}

static void
failed_calls_are_told_apart_and_explained (void)
{
  static const struct
  {
    int number, code;
  } expected[]
      = { { EIO, MEMIF_ERR_SYSCALL },
          { EACCES, MEMIF_ERR_ACCES },
          { EPERM, MEMIF_ERR_ACCES },
          { ENOENT, MEMIF_ERR_NO_FILE },
          { ENFILE, MEMIF_ERR_FILE_LIMIT },
          { EMFILE, MEMIF_ERR_PROC_FILE_LIMIT },
          { EALREADY, MEMIF_ERR_ALREADY },
          { EAGAIN, MEMIF_ERR_AGAIN },
          { EBADF, MEMIF_ERR_BAD_FD },
          { ENOMEM, MEMIF_ERR_NOMEM },
          { ENOTSOCK, MEMIF_ERR_FILE_NOT_SOCK },
#if GENERATION == 20
          { ECONNREFUSED, MEMIF_ERR_SYSCALL },
#else
          { ECONNREFUSED, MEMIF_ERR_CONNREFUSED },
#endif
        };
  path = unique_path ();
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
    {
      int code = expected[i].code;
      char *plain = strdup (memif_strerror (code));
      failure = expected[i].number;
      CHECK_ERR (start (NULL), code);
      CHECK (errno == failure);
      failure = 0;
      CHECK (strncmp (memif_strerror (code), plain, strlen (plain)) == 0);
      CHECK (strstr (memif_strerror (code), "timerfd_create") != NULL);
      CHECK (strstr (memif_strerror (code), strerror (expected[i].number)) != NULL);
      /* That is this code's, and this thread's, until its next call. */
      CHECK (strstr (memif_strerror (code == MEMIF_ERR_QID ? MEMIF_ERR_ID : MEMIF_ERR_QID), "timerfd") == NULL);
      pthread_t thread;
      void *elsewhere;
      CHECK (pthread_create (&thread, NULL, explain_elsewhere, &code) == 0 && pthread_join (thread, &elsewhere) == 0);
      CHECK (strcmp (elsewhere, plain) == 0);
      OK (start (NULL));
      CHECK (strcmp (memif_strerror (code), plain) == 0);
      OK (stop ());
      free (elsewhere);
      free (plain);
    }
}

static void
no_number_is_out_of_range (void)
{
  static const int strange[] = { -1, INT_MIN, INT_MAX, 40, 41, 1000 };
  for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
    CHECK (strcmp (memif_strerror (strange[i]), memif_strerror (-2)) == 0);
  CHECK (strlen (memif_strerror (-2)) > 3);
}

/* --- Files --- */

static void
sockets_that_cannot_be_made (void)
{
  memif_conn_handle_t conn = NULL;
  start_at ("/nonexistent/dir/m.sock");
  CHECK_ERR (CREATE (&conn, .is_master = 1), MEMIF_ERR_NO_FILE);
  CHECK (errno == ENOENT && strstr (memif_strerror (MEMIF_ERR_NO_FILE), path) != NULL);
  OK (stop ());

  start_at (unique_path ());
  close (open (path, O_CREAT | O_WRONLY, 0600));
  CHECK_ERR (CREATE (&conn, .is_master = 1), MEMIF_ERR_FILE_NOT_SOCK);
  CHECK (strstr (memif_strerror (MEMIF_ERR_FILE_NOT_SOCK), path) != NULL);
  unlink (path);
  OK (stop ());
}

/* Nobody may look into the directory; root may, so a child becomes somebody else. */
static void
sockets_without_permission (void)
{
  static char inside[108];
  const char *directory = unique_path ();
  CHECK (mkdir (directory, 0) == 0);
  snprintf (inside, sizeof inside, "%s/m.sock", directory);
  const pid_t child = fork ();
  if (child == 0)
    {
      if (geteuid () == 0)
        CHECK (setgid (65534) == 0 && setuid (65534) == 0);
      memif_conn_handle_t conn = NULL;
      start_at (inside);
      CHECK_ERR (CREATE (&conn, .is_master = 1), MEMIF_ERR_ACCES);
      CHECK (conn == NULL && errno == EACCES);
      CHECK (strstr (memif_strerror (MEMIF_ERR_ACCES), inside) != NULL);
      OK (CREATE (&conn, .is_master = 0)); /* it may get better */
#if GENERATION != 20
      CHECK_ERR (memif_request_connection (conn), MEMIF_ERR_ACCES);
      CHECK (strstr (memif_strerror (MEMIF_ERR_ACCES), inside) != NULL);
#endif
      OK (memif_delete (&conn));
      OK (stop ());
      _exit (0);
    }
  int status = 1;
  CHECK (waitpid (child, &status, 0) == child && status == 0);
  CHECK (rmdir (directory) == 0);
}

/* --- The program's callback --- */

static int refuse_adds, refuse_deletes;

static int
on_fd (on_fd_arguments)
{
  CHECK (event_fd >= 0);
  return (event_bits & MEMIF_FD_EVENT_DEL ? refuse_deletes : refuse_adds) ? -1 : 0;
}

static void
descriptors_that_the_program_refuses (void)
{
  memif_conn_handle_t conn = NULL;
  path = unique_path ();
  refuse_adds = 1;
  CHECK_ERR (start (on_fd), MEMIF_ERR_CB_FDUPDATE);
  refuse_adds = 0;
  OK (start (on_fd));
  refuse_adds = 1;
  CHECK_ERR (CREATE (&conn, .is_master = 1), MEMIF_ERR_CB_FDUPDATE);
  CHECK (conn == NULL && access (path, F_OK) != 0);
  refuse_adds = 0;
  /* A program may have stopped to watch what it is told to stop watching: that hurts nobody. */
  refuse_deletes = 1;
  for (int i = 0; i < 3; i++)
    {
      OK (CREATE (&conn, .is_master = 1));
      OK (memif_delete (&conn));
    }
  OK (stop ());
  refuse_deletes = 0;
}

/* A slave has connected when it turns out that the program does not watch its channel. A master that has not greeted it
 * may be one that ends for it when a slave has left before: the library stays by itself. */
static void
channels_that_the_program_refuses (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const uint8_t hello[128] = { 2 };
  memif_conn_handle_t conn = NULL;
  path = unique_path ();
  snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
  const int listener = socket (AF_UNIX, SOCK_SEQPACKET, 0);
  CHECK (bind (listener, (struct sockaddr *) &address, sizeof address) == 0 && listen (listener, 5) == 0);
  OK (start (on_fd));
  refuse_adds = 1;
  for (int i = 0; i < 2; i++)
    {
      CHECK_ERR (CREATE (&conn, .is_master = 0), MEMIF_ERR_CB_FDUPDATE);
      CHECK (conn == NULL);
    }
  refuse_adds = 0;
  const int channel = accept (listener, NULL, NULL);
  CHECK (channel >= 0 && send (channel, hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello);
  OK (stop ());
  close (channel);
  close (listener);
  unlink (path);
}

/* --- Interfaces and packets --- */

static void
handles_ids_and_queues (void)
{
  memif_conn_handle_t conn = NULL, twin = NULL, none = NULL;
  memif_buffer_t buf;
  memif_details_t md;
  char text[256];
  uint16_t n = 0;
  int fd;
  start_at (unique_path ());
  CHECK_ERR (CREATE (&conn, .log2_ring_size = 15), MEMIF_ERR_MAX_RING);
  CHECK_ERR (CREATE (&conn, .mode = 7), MEMIF_ERR_INVAL_ARG);
  OK (CREATE (&conn, .is_master = 1, .interface_id = 5));
  CHECK_ERR (CREATE (&conn, .is_master = 1, .interface_id = 6), MEMIF_ERR_CONN);
  CHECK_ERR (CREATE (&twin, .is_master = 1, .interface_id = 5), MEMIF_ERR_ID);
  CHECK_ERR (memif_delete (&none), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_delete (conn), MEMIF_ERR_NOCONN); /* without the &, as programs have it */
#if GENERATION >= 30
  CHECK_ERR (memif_delete_socket (sock), MEMIF_ERR_INVAL_ARG);
#endif
  CHECK_ERR (memif_rx_burst (NULL, 0, &buf, 1, &n), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_rx_burst (conn, 0, &buf, 1, &n), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_tx_burst (conn, 0, &buf, 1, &n), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_buffer_alloc (conn, 0, &buf, 1, &n, 1), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (refill (conn, 0, 1), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_get_queue_efd (conn, 0, &fd), MEMIF_ERR_DISCONNECTED);
  CHECK_ERR (memif_rx_burst (conn, 3, &buf, 1, &n), MEMIF_ERR_QID);
  CHECK_ERR (memif_set_rx_mode (conn, MEMIF_RX_MODE_POLLING, 3), MEMIF_ERR_QID);
  CHECK_ERR (memif_get_details (conn, &md, text, 10), MEMIF_ERR_NOBUF_DET);
  OK (memif_get_details (conn, &md, text, sizeof text));

  memif_conn_handle_t slave = NULL;
  OK (CREATE (&slave, .interface_id = 5, .log2_ring_size = 1));
  UNTIL (memif_get_queue_efd (slave, 0, &fd) == MEMIF_ERR_SUCCESS
             && memif_get_queue_efd (conn, 0, &fd) == MEMIF_ERR_SUCCESS,
         OK (poll_for (1)));
#if GENERATION != 20
  CHECK_ERR (memif_request_connection (slave), MEMIF_ERR_ALRCONN);
#endif
  memif_buffer_t two[2], many[3];
  CHECK_ERR (memif_buffer_alloc (conn, 0, many, 3, &n, 1), MEMIF_ERR_NOBUF_RING);
  OK (memif_buffer_alloc (slave, 0, two, 2, &n, 1));
#if GENERATION != 40
  /* More than were allocated: those. */
  memif_buffer_t three[3] = { two[0], two[1], two[1] };
  OK (memif_tx_burst (slave, 0, three, 3, &n));
#else
  OK (memif_tx_burst (slave, 0, two, 2, &n));
#endif
  CHECK (n == 2);
  CHECK_ERR (memif_rx_burst (conn, 0, &buf, 1, &n), MEMIF_ERR_NOBUF);
  OK (memif_rx_burst (conn, 0, &buf, 1, &n));
  CHECK (n == 1);
  OK (memif_delete (&slave));
  OK (memif_delete (&conn));
#if GENERATION != 20
  OK (CREATE (&slave, .interface_id = 5));
  CHECK_ERR (memif_request_connection (slave), MEMIF_ERR_CONNREFUSED);
  OK (memif_delete (&slave));
#endif
  OK (stop ());
}

/* --- Waking up --- */

static int deleted_in_callback;

static int
delete_again (memif_conn_handle_t conn, void *ctx)
{
  (void) ctx;
  deleted_in_callback = memif_delete (&conn);
  return 0;
}

static void
an_interface_is_deleted_once (void)
{
  memif_conn_handle_t master = NULL, slave = NULL;
  int fd;
  start_at (unique_path ());
  OK (CREATE (&master, .is_master = 1));
  OK (create_with (&slave, (memif_conn_args_t){ 0 }, NULL, delete_again, NULL, NULL));
  UNTIL (memif_get_queue_efd (slave, 0, &fd) == MEMIF_ERR_SUCCESS, OK (poll_for (1)));
  OK (memif_delete (&slave));
  CHECK_ERR (deleted_in_callback, MEMIF_ERR_ALREADY);
  OK (memif_delete (&master));
  OK (stop ());
}

static void
a_wake_up_that_cannot_be_written (void)
{
  start_at (unique_path ());
  OK (cancel ());
  CHECK_ERR (poll_for (1), MEMIF_ERR_POLL_CANCEL);
  for (int fd = 0; fd < 64; fd++)
    {
      char name[32], target[64] = { 0 };
      snprintf (name, sizeof name, "/proc/self/fd/%d", fd);
      if (readlink (name, target, sizeof target - 1) <= 0 || strstr (target, "eventfd") == NULL)
        continue;
      const int nothing = open ("/dev/null", O_RDONLY);
      CHECK (dup2 (nothing, fd) == fd);
      close (nothing);
    }
  CHECK_ERR (cancel (), MEMIF_ERR_INT_WRITE);
  OK (stop ());
}

int
main (void)
{
  failed_calls_are_told_apart_and_explained ();
  no_number_is_out_of_range ();
  sockets_that_cannot_be_made ();
  sockets_without_permission ();
  descriptors_that_the_program_refuses ();
  channels_that_the_program_refuses ();
  handles_ids_and_queues ();
  an_interface_is_deleted_once ();
  a_wake_up_that_cannot_be_written ();
  return 0;
}
