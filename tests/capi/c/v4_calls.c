/* Generation 4: versions, words, arguments, and masters that cannot listen. */
#include "v4.h"

static void
versions_and_words (void)
{
  CHECK (memif_get_version () == 0x0200);
  CHECK (strcmp (memif_get_version_str (), "2.0") == 0); /* as memif_get_version */
  CHECK (MEMIF_HAVE_CANCEL_POLL_EVENT == 1);
  for (int i = MEMIF_ERR_SUCCESS; i <= MEMIF_ERR_PRIVHDR; i++)
    {
      CHECK (strlen (memif_strerror (i)) > 3);
      for (int j = MEMIF_ERR_SUCCESS; j < i; j++)
        CHECK (strcmp (memif_strerror (i), memif_strerror (j)) != 0);
    }
  CHECK (strlen (memif_strerror (-1)) > 3 && strlen (memif_strerror (40)) > 3);
  CHECK (strlen (memif_strerror (2147483647)) > 3);
}

static void
null_handles (void)
{
  memif_buffer_t buf;
  uint16_t n;
  int fd;
  memif_conn_handle_t none = NULL;
  memif_socket_handle_t no_socket = NULL;
  memif_details_t md;
  CHECK_ERR (memif_rx_burst (NULL, 0, &buf, 1, &n), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_tx_burst (NULL, 0, &buf, 1, &n), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_buffer_alloc (NULL, 0, &buf, 1, &n, 64), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_refill_queue (NULL, 0, 1, 0), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_buffer_enq_tx (NULL, 0, &buf, 1, &n), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_buffer_requeue (NULL, &buf, &buf), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_set_next_free_buffer (NULL, 0, &buf), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_get_queue_efd (NULL, 0, &fd), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_set_rx_mode (NULL, MEMIF_RX_MODE_POLLING, 0), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_get_details (NULL, &md, (char *) &buf, sizeof buf), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_request_connection (NULL), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_delete (&none), MEMIF_ERR_NOCONN);
  CHECK_ERR (memif_delete (NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_delete_socket (&no_socket), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_poll_event (NULL, 0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_cancel_poll_event (NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_control_fd_handler (NULL, MEMIF_FD_EVENT_READ), MEMIF_ERR_INVAL_ARG);
  CHECK (memif_get_socket_handle (NULL) == NULL && memif_get_socket_path (NULL) == NULL);
  CHECK (memif_get_listener_fd (NULL) == -1);
  CHECK_ERR (memif_set_listener_fd (NULL, 0), MEMIF_ERR_INVAL_ARG);
  memif_register_external_region (NULL, NULL, NULL, NULL, NULL);
}

static void
bad_arguments (void)
{
  end_t end = { 0 };
  memif_socket_args_t sargs = { 0 };
  CHECK_ERR (memif_create_socket (&end.sock, &sargs, NULL), MEMIF_ERR_INVAL_ARG);
  memset (sargs.path, 'x', sizeof sargs.path);
  CHECK_ERR (memif_create_socket (&end.sock, &sargs, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_create_socket (NULL, &sargs, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_create_socket (&end.sock, NULL, NULL), MEMIF_ERR_INVAL_ARG);

  const char *path = unique_path ();
  open_socket (&end, path, "");
  CHECK (strcmp (memif_get_socket_path (end.sock), path) == 0);
  CHECK (strcmp (memif_get_socket_filename (end.sock), path) == 0);
  memif_conn_args_t args = { .socket = end.sock, .log2_ring_size = 15 };
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_MAX_RING);
  args.log2_ring_size = 0;
  args.mode = 7;
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_INVAL_ARG);
  args.mode = 0;
  args.socket = NULL;
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK (end.conn == NULL);
  args.socket = end.sock;
  OK (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL));
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_CONN);
  CHECK (memif_get_socket_handle (end.conn) == end.sock);
  memif_socket_handle_t same = end.sock;
  CHECK_ERR (memif_delete_socket (&same), MEMIF_ERR_INVAL_ARG);
  CHECK (same == end.sock);
  /* Nobody is there: not an error of memif_create, but of the explicit request. */
  CHECK_ERR (memif_request_connection (end.conn), MEMIF_ERR_CONNREFUSED);
  close_end (&end);

  memset (&sargs, 0, sizeof sargs);
  snprintf (sargs.path + 1, sizeof sargs.path - 1, "memif-capi-%d", (int) getpid ());
  OK (memif_create_socket (&end.sock, &sargs, NULL));
  CHECK (memif_get_socket_path (end.sock)[0] == '@');
  OK (memif_delete_socket (&end.sock));
}

static void
masters_that_cannot_listen (void)
{
  end_t end = { 0 }, other = { 0 };
  memif_conn_args_t args = { .is_master = 1 };
  open_socket (&end, "/nonexistent/dir/m.sock", "");
  args.socket = end.sock;
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_NO_FILE);
  CHECK (end.conn == NULL);
  CHECK (strstr (memif_strerror (MEMIF_ERR_NO_FILE), "/nonexistent/dir") != NULL);
  OK (memif_delete_socket (&end.sock));

  const char *path = unique_path ();
  int file = open (path, O_CREAT | O_WRONLY, 0600);
  open_socket (&end, path, "");
  args.socket = end.sock;
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_FILE_NOT_SOCK);
  close (file);
  unlink (path);
  /* The same socket now listens; a second listener is told who has it, and a second interface of the id that it is. */
  OK (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL));
  memif_conn_handle_t twin = NULL;
  CHECK_ERR (memif_create (&twin, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_ID);
  open_socket (&other, path, "");
  args.socket = other.sock;
  CHECK_ERR (memif_create (&other.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_SYSCALL);
  CHECK (errno == EADDRINUSE);
  CHECK (strstr (memif_strerror (MEMIF_ERR_SYSCALL), path) != NULL);
  CHECK (strstr (memif_strerror (MEMIF_ERR_SYSCALL), "in use") != NULL);
  OK (memif_delete_socket (&other.sock));
  close_end (&end);
  CHECK (access (path, F_OK) != 0);

  /* The leftover of a program that died does not stop the next one. */
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
  int dead = socket (AF_UNIX, SOCK_SEQPACKET, 0);
  CHECK (bind (dead, (struct sockaddr *) &address, sizeof address) == 0);
  close (dead);
  open_socket (&end, path, "");
  args.socket = end.sock;
  OK (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL));
  close_end (&end);
}

static void
no_descriptors_left (void)
{
  const int before = count_fds ();
  struct rlimit old, none;
  CHECK (getrlimit (RLIMIT_NOFILE, &old) == 0);
  memif_socket_args_t args = { .path = "/tmp/memif-capi-nofile.sock" };
  for (unsigned extra = 0;; extra++)
    {
      memif_socket_handle_t sock = NULL;
      none = old;
      none.rlim_cur = (rlim_t) before + extra;
      CHECK (setrlimit (RLIMIT_NOFILE, &none) == 0);
      const int err = memif_create_socket (&sock, &args, NULL);
      CHECK (setrlimit (RLIMIT_NOFILE, &old) == 0);
      if (err == MEMIF_ERR_SUCCESS)
        {
          CHECK (extra > 0);
          OK (memif_delete_socket (&sock));
          break;
        }
      CHECK_ERR (err, MEMIF_ERR_PROC_FILE_LIMIT);
      CHECK (fds_come_down_to (before));
    }
  CHECK (fds_come_down_to (before));
}

static const case_t cases[] = {
  CASE (versions_and_words),         CASE (null_handles),        CASE (bad_arguments),
  CASE (masters_that_cannot_listen), CASE (no_descriptors_left),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
