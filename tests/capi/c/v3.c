/* Generation 3: every function, and every line of what programs depend on. Compiled from the installed tree. The master
 * lives on the global instance, the slave on a thread's. */
#include "generations.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>

_Static_assert(sizeof (memif_buffer_t) == 32 && sizeof (memif_conn_args_t) == 80, "sizes");
_Static_assert(sizeof (memif_details_t) == 120 && sizeof (memif_queue_details_t) == 16, "sizes");
_Static_assert(sizeof (memif_region_details_t) == 32, "sizes");
_Static_assert(MEMIF_ERR_CONNREFUSED == 2 && MEMIF_ERR_PRIVHDR == 39, "errors");

static void
create (end_t *end, int master, memif_interrupt_t *interrupt)
{
  memif_conn_args_t args = { .socket = end->sock, .is_master = (uint8_t) master, .buffer_size = 512 };
  OK (memif_create (&end->conn, &args, on_connect, on_disconnect, interrupt, end));
}

static int
poll_end (end_t *end, int timeout)
{
  return end->instance ? memif_per_thread_poll_event (end->instance, timeout) : memif_poll_event (timeout);
}

static void
bad_arguments (void)
{
  end_t end = { 0 };
  memif_conn_args_t args = { 0 };
  const struct itimerspec zero = { 0 };
  CHECK_ERR (memif_create (&end.conn, &args, NULL, NULL, NULL, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_poll_event (0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_cancel_poll_event (), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_control_fd_handler (0, 1), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_cleanup (), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_set_connection_request_timer (zero), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_create_socket (&end.sock, "@x", NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_init (NULL, NULL, NULL, NULL, NULL, NULL, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_cleanup (NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_cleanup (&end.instance), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_poll_event (NULL, 0), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_cancel_poll_event (NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_control_fd_handler (NULL, 0, 1), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_set_connection_request_timer (NULL, zero), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_per_thread_create_socket (NULL, &end.sock, "@x", NULL), MEMIF_ERR_INVAL_ARG);
  memif_register_external_region (NULL, NULL, NULL, NULL);
  memif_per_thread_register_external_region (NULL, NULL, NULL, NULL, NULL);
  CHECK (memif_get_socket_filename (NULL) == NULL);
  CHECK_ERR (memif_delete_socket (&end.sock), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_request_connection (NULL), MEMIF_ERR_NOCONN);
  CHECK (memif_get_version () == 0x0200);

  OK (memif_init (NULL, NULL, NULL, NULL, NULL));
  CHECK_ERR (memif_init (NULL, NULL, NULL, NULL, NULL), MEMIF_ERR_ALREADY);
  char path[200];
  memset (path, 'x', sizeof path);
  path[108] = 0;
  CHECK_ERR (memif_create_socket (&end.sock, path, NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_create_socket (&end.sock, "", NULL), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_create_socket (&end.sock, NULL, NULL), MEMIF_ERR_INVAL_ARG);
  const char *mine = unique_path ();
  OK (memif_create_socket (&end.sock, mine, NULL));
  memif_socket_handle_t twin = NULL;
  CHECK_ERR (memif_create_socket (&twin, mine, NULL), MEMIF_ERR_ALREADY);
  CHECK (strcmp (memif_get_socket_filename (end.sock), mine) == 0);
  create (&end, 0, NULL);
  twin = end.sock;
  CHECK_ERR (memif_delete_socket (&twin), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_request_connection (end.conn), MEMIF_ERR_CONNREFUSED);
  char buf[4096];
  memif_details_t md;
  OK (memif_get_details (end.conn, &md, buf, sizeof buf));
  CHECK (strlen ((char *) md.error) > 3 && md.regions_num == 0);
  OK (memif_delete (&end.conn));
  OK (memif_delete_socket (&end.sock));
  CHECK (end.sock == NULL);
  /* No socket: the default one, where somebody may listen. */
  create (&end, 0, NULL);
  OK (memif_get_details (end.conn, &md, buf, sizeof buf));
  CHECK (strcmp ((char *) md.socket_filename, "/run/vpp/memif.sock") == 0);
  OK (memif_cleanup ());
}

static void
instances_side_by_side (void)
{
  const int fds = count_fds ();
  end_t master = { 0 }, slave = { 0 };
  const char *path = unique_path ();
  OK (memif_init (NULL, "global", counting_alloc, counting_realloc, counting_free));
  OK (memif_per_thread_init (&slave.instance, NULL, NULL, "thread", counting_alloc, counting_realloc, counting_free));
  OK (memif_create_socket (&master.sock, path, NULL));
  OK (memif_per_thread_create_socket (slave.instance, &slave.sock, path, NULL));
  struct itimerspec fast = { .it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000 };
  OK (memif_per_thread_set_connection_request_timer (slave.instance, fast));
  OK (memif_set_connection_request_timer (fast));
  create (&slave, 0, NULL);
  create (&master, 1, NULL);
  UNTIL (master.connects && slave.connects, {
    OK (poll_end (&master, 1));
    OK (poll_end (&slave, 1));
  });
  CHECK_ERR (memif_request_connection (slave.conn), MEMIF_ERR_ALRCONN);
  CHECK_ERR (memif_request_connection (master.conn), MEMIF_ERR_INVAL_ARG);

  memif_buffer_t bufs[64], other[64];
  uint16_t n, queued, sent;
  CHECK (send_packets (master.conn, 20, 100) == 20);
  CHECK_ERR (memif_rx_burst (slave.conn, 0, bufs, 16, &n), MEMIF_ERR_NOBUF);
  OK (memif_rx_burst (slave.conn, 0, bufs + 16, 16, &n));
  CHECK (n == 4);
  OK (memif_buffer_enq_tx (slave.conn, 0, bufs, 20, &queued));
  CHECK (queued == 20);
  OK (memif_refill_queue (slave.conn, 0, -1, 64));
  OK (memif_tx_burst (slave.conn, 0, bufs, 20, &sent));
  OK (memif_rx_burst (master.conn, 0, bufs, 64, &n));
  CHECK (n == 20 && bufs[19].len == 100 && *(char *) bufs[19].data == 19);
  OK (memif_refill_queue (master.conn, 0, -1, 0));
  /* Headroom: behind the part of the ring that was posted without, 448 bytes fit. */
  CHECK (send_packets (master.conn, 20, 448) == 20);
  OK (memif_rx_burst (slave.conn, 0, bufs, 64, &n));
  CHECK (n == 20 && bufs[0].len == 448);
  OK (memif_buffer_alloc (slave.conn, 0, other, 2, &n, 100));
  OK (memif_set_next_free_buffer (slave.conn, 0, &other[1]));
  OK (memif_buffer_requeue (slave.conn, &other[0], &bufs[0]));
  OK (memif_tx_burst (slave.conn, 0, &bufs[0], 1, &sent));
  OK (memif_rx_burst (master.conn, 0, bufs, 64, &n));
  CHECK (n == 1 && bufs[0].len == 448);
  OK (memif_set_rx_mode (slave.conn, MEMIF_RX_MODE_POLLING, 0));
  int efd;
  OK (memif_get_queue_efd (slave.conn, 0, &efd));

  char buf[4096];
  memif_details_t md;
  OK (memif_get_details (master.conn, &md, buf, sizeof buf));
  CHECK (md.regions_num == 1 && md.rx_queues_num == 1 && md.rx_queues[0].region == 0 && md.role == 0);
  CHECK (strcmp ((char *) md.remote_inst_name, "thread") == 0 && strcmp ((char *) md.inst_name, "global") == 0);
  CHECK_ERR (memif_get_details (master.conn, &md, buf, 40), MEMIF_ERR_NOBUF_DET);

  OK (memif_per_thread_cancel_poll_event (slave.instance));
  OK (memif_cancel_poll_event ());
  CHECK_ERR (memif_per_thread_poll_event (slave.instance, -1), MEMIF_ERR_POLL_CANCEL);
  CHECK_ERR (memif_poll_event (-1), MEMIF_ERR_POLL_CANCEL);
  OK (memif_delete (&master.conn));
  UNTIL (slave.disconnects, OK (poll_end (&slave, 10)));
  CHECK_ERR (memif_rx_burst (slave.conn, 0, bufs, 1, &n), MEMIF_ERR_DISCONNECTED);
  create (&master, 1, NULL);
  UNTIL (master.connects == 2 && slave.connects == 2, {
    OK (poll_end (&master, 1));
    OK (poll_end (&slave, 1));
  });
  OK (memif_delete (&slave.conn));
  OK (memif_delete_socket (&slave.sock));
  OK (memif_per_thread_cleanup (&slave.instance));
  CHECK (slave.instance == NULL);
  OK (memif_cleanup ()); /* with an interface and a socket that are left */
  CHECK (live_blocks == 0 && fds_come_down_to (fds));
}

static int epoll_fd, watched[1024], context_seen;

static int
on_fd (int fd, uint8_t events, void *ctx)
{
  struct epoll_event entry = { .events = EPOLLIN, .data = { .fd = fd } };
  CHECK (fcntl (fd, F_GETFD) >= 0);
  context_seen += ctx == &epoll_fd;
  if (events & MEMIF_FD_EVENT_DEL)
    {
      CHECK (watched[fd]);
      watched[fd] = 0;
      return epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    }
  if (events & MEMIF_FD_EVENT_MOD)
    return epoll_ctl (epoll_fd, EPOLL_CTL_MOD, fd, &entry);
  CHECK (!watched[fd]);
  watched[fd] = ctx == &epoll_fd ? 2 : 1;
  return epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &entry);
}

static int
on_fd_refused (int fd, uint8_t events, void *ctx)
{
  (void) fd, (void) ctx;
  return events & MEMIF_FD_EVENT_DEL ? 0 : -1;
}

static void
own_event_loop (void)
{
  end_t master = { 0 }, slave = { 0 };
  const char *path = unique_path ();
  epoll_fd = epoll_create1 (0);
  CHECK_ERR (memif_init (on_fd_refused, NULL, NULL, NULL, NULL), MEMIF_ERR_CB_FDUPDATE);
  OK (memif_init (on_fd, "global", NULL, NULL, NULL));
  CHECK (context_seen == 0);
  OK (memif_per_thread_init (&slave.instance, &epoll_fd, on_fd, "thread", NULL, NULL, NULL));
  CHECK (context_seen > 0);
  OK (memif_create_socket (&master.sock, path, NULL));
  OK (memif_per_thread_create_socket (slave.instance, &slave.sock, path, NULL));
  create (&master, 1, on_interrupt);
  create (&slave, 0, on_interrupt);
  int sent = 0;
  UNTIL (master.interrupts && slave.interrupts, {
    struct epoll_event events[8];
    const int n = epoll_wait (epoll_fd, events, 8, 10);
    for (int i = 0; i < n; i++)
      {
        const int fd = events[i].data.fd;
        if (watched[fd] == 2)
          OK (memif_per_thread_control_fd_handler (slave.instance, fd, MEMIF_FD_EVENT_READ));
        else if (watched[fd] == 1)
          OK (memif_control_fd_handler (fd, MEMIF_FD_EVENT_READ));
      }
    if (master.connects && slave.connects && !sent++)
      {
        send_packets (master.conn, 3, 60);
        send_packets (slave.conn, 3, 60);
      }
  });
  CHECK_ERR (memif_per_thread_control_fd_handler (slave.instance, -3, 1), MEMIF_ERR_BAD_FD);
  OK (memif_per_thread_cleanup (&slave.instance));
  OK (memif_cleanup ());
  for (int fd = 0; fd < 1024; fd++)
    CHECK (!watched[fd]);
  close (epoll_fd);
}

static int added, removed;

static int
add_region (void **addr, uint32_t size, int *fd, void *ctx)
{
  (void) ctx;
  *fd = memfd_create ("external", 0);
  CHECK (ftruncate (*fd, size) == 0);
  *addr = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
  added++;
  return 0;
}

static void *
map_region (uint32_t size, int fd, void *ctx)
{
  (void) ctx;
  return mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static int
remove_region (void *addr, uint32_t size, int fd, void *ctx)
{
  (void) ctx;
  CHECK (munmap (addr, size) == 0 && close (fd) == 0);
  removed++;
  return 0;
}

static void
external_regions (void)
{
  end_t master = { 0 }, slave = { 0 };
  const char *path = unique_path ();
  OK (memif_init (NULL, "global", NULL, NULL, NULL));
  OK (memif_per_thread_init (&slave.instance, NULL, NULL, "thread", NULL, NULL, NULL));
  memif_register_external_region (NULL, map_region, remove_region, NULL);
  memif_per_thread_register_external_region (slave.instance, add_region, map_region, remove_region, NULL);
  OK (memif_create_socket (&master.sock, path, NULL));
  OK (memif_per_thread_create_socket (slave.instance, &slave.sock, path, NULL));
  create (&master, 1, NULL);
  create (&slave, 0, NULL);
  UNTIL (master.connects && slave.connects, {
    OK (poll_end (&master, 1));
    OK (poll_end (&slave, 1));
  });
  memif_buffer_t bufs[64];
  uint16_t n;
  CHECK (send_packets (master.conn, 20, 512) == 20);
  OK (memif_rx_burst (slave.conn, 0, bufs, 64, &n));
  CHECK (n == 20 && *(char *) bufs[19].data == 19);
  OK (memif_per_thread_cleanup (&slave.instance));
  OK (memif_cleanup ());
  CHECK (added == 1 && removed == 2);
}

int
main (void)
{
  bad_arguments ();
  instances_side_by_side ();
  own_event_loop ();
  external_regions ();
  return 0;
}
