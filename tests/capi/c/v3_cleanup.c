/* Generation 3: what a program may do in the on_disconnect that a cleanup calls, with all that it has left behind. */
#include "check.h"

typedef struct
{
  memif_conn_handle_t conn;
  memif_socket_handle_t *sock;
  const char *path;
  int connects, disconnects;
} end_t;

static int
on_connect (memif_conn_handle_t conn, void *ctx)
{
  end_t *end = ctx;
  (void) conn;
  end->connects++;
  return 0;
}

static int
on_disconnect (memif_conn_handle_t conn, void *ctx)
{
  end_t *end = ctx;
  memif_details_t md;
  char text[4096];
  end->disconnects++;
  OK (memif_get_details (conn, &md, text, sizeof text));
  CHECK (strcmp ((const char *) md.socket_filename, end->path) == 0);
  if (*end->sock != NULL)
    CHECK (strcmp (memif_get_socket_filename (*end->sock), end->path) == 0);
  /* Once nobody uses it. */
  memif_socket_handle_t sock = *end->sock;
  if (sock != NULL && memif_delete_socket (&sock) == MEMIF_ERR_SUCCESS)
    *end->sock = NULL;
  return 0;
}

static void
create (end_t *end, int master)
{
  memif_conn_args_t args = { .socket = *end->sock, .is_master = (uint8_t) master, .log2_ring_size = 4 };
  OK (memif_create (&end->conn, &args, on_connect, on_disconnect, NULL, end));
}

static void
clean_up (memif_per_thread_main_handle_t *instance)
{
  if (instance != NULL)
    OK (memif_per_thread_cleanup (instance));
  else
    OK (memif_cleanup ());
}

static void
interfaces_and_sockets_are_left_behind (memif_per_thread_main_handle_t *instance)
{
  memif_socket_handle_t sock = NULL, unused = NULL;
  end_t master = { .sock = &sock, .path = unique_path () }, slave = master;
  if (instance != NULL)
    {
      OK (memif_per_thread_init (instance, NULL, NULL, "thread", counting_alloc, counting_realloc, counting_free));
      OK (memif_per_thread_create_socket (*instance, &sock, master.path, NULL));
      OK (memif_per_thread_create_socket (*instance, &unused, "@nobody's", NULL));
    }
  else
    {
      OK (memif_init (NULL, "global", counting_alloc, counting_realloc, counting_free));
      OK (memif_create_socket (&sock, master.path, NULL));
      OK (memif_create_socket (&unused, "@nobody's", NULL));
    }
  create (&master, 1);
  create (&slave, 0);
  UNTIL (master.connects && slave.connects,
         OK (instance != NULL ? memif_per_thread_poll_event (*instance, 1) : memif_poll_event (1)));
  clean_up (instance);
  CHECK (master.disconnects == 1 && slave.disconnects == 1);
  CHECK (sock == NULL && live_blocks == 0);
}

int
main (void)
{
  memif_per_thread_main_handle_t instance = NULL;
  interfaces_and_sockets_are_left_behind (NULL);
  interfaces_and_sockets_are_left_behind (&instance);
  CHECK (instance == NULL);
  return 0;
}
