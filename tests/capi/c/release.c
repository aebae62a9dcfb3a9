/* A program of one release of libmemif (RELEASE, see release.h), compiled and linked as that release's programs are. It
 * uses every function and every member of a structure that the release has, and nothing else. From 20.01 to 21.10 the
 * slave lives on an instance of a thread's, else on the master's. */
#define _GNU_SOURCE
#include <libmemif.h>

#include "check.h"
#include "release.h"

#include <fcntl.h>
#include <sys/mman.h>

enum
{
  PACKETS = 8,
  SIZE_OF_PACKET = 100,
  BUFFER = 512
};

typedef struct
{
  memif_conn_handle_t conn;
  int connects, disconnects, interrupts;
} end_t;

static const char *path;
static end_t master, slave;
#define OF_THREADS (RELEASE >= 2001 && RELEASE < 2202)
#if RELEASE >= 1908
static memif_socket_handle_t sock, slave_sock;
#endif
#if OF_THREADS
static memif_per_thread_main_handle_t slave_instance;
#endif

/* --- The program's loop: what it is told of, it polls --- */

static struct pollfd watched[64];
static void *tokens[64];
static int watched_count;

static int
watch (int fd, unsigned events, void *token)
{
  int i = 0;
  while (i < watched_count && watched[i].fd != fd)
    i++;
  CHECK ((i < watched_count) == ((events & (MEMIF_FD_EVENT_DEL | MEMIF_FD_EVENT_MOD)) != 0));
  if (events & MEMIF_FD_EVENT_DEL)
    {
      watched[i] = watched[--watched_count];
      tokens[i] = tokens[watched_count];
      return 0;
    }
  if (i == watched_count)
    CHECK (++watched_count <= 64);
  watched[i].fd = fd;
  watched[i].events = (events & MEMIF_FD_EVENT_READ ? POLLIN : 0) | (events & MEMIF_FD_EVENT_WRITE ? POLLOUT : 0);
  tokens[i] = token;
  return 0;
}

#if RELEASE < 1908
int
an_fd_update (int fd, uint8_t events)
{
  return watch (fd, events, NULL);
}
#define HANDLE(fd, token, events) ((void) (token), memif_control_fd_handler (fd, events))
#elif RELEASE < 2202
int
an_fd_update (int fd, uint8_t events, void *ctx)
{
  CHECK (ctx == NULL || ctx == &slave);
  return watch (fd, events, ctx);
}
#if OF_THREADS
#define HANDLE(fd, token, events)                                                                                      \
  (token != NULL ? memif_per_thread_control_fd_handler (slave_instance, fd, events)                                    \
                 : memif_control_fd_handler (fd, events))
#else
#define HANDLE(fd, token, events) ((void) (token), memif_control_fd_handler (fd, events))
#endif
#else
int
an_fd_update (memif_fd_event_t event, void *ctx)
{
  CHECK (ctx == &master);
  return watch (event.fd, event.type, event.private_ctx);
}
#define HANDLE(fd, token, events) ((void) (fd), memif_control_fd_handler (token, events))
#endif

static void
turn (void)
{
  CHECK (poll (watched, (nfds_t) watched_count, 10) >= 0);
  for (int i = 0; i < watched_count; i++)
    if (watched[i].revents)
      OK (HANDLE (watched[i].fd, tokens[i], watched[i].revents & POLLOUT ? MEMIF_FD_EVENT_WRITE : MEMIF_FD_EVENT_READ));
}

/* --- Callbacks --- */

int
a_connection_update (memif_conn_handle_t conn, void *ctx)
{
  end_t *const end = ctx;
  CHECK (end->conn == conn);
  if (end->connects++ > end->disconnects)
    end->disconnects++, end->connects--;
  else
    OK (memif_refill_queue (conn, 0, -1, 0));
  return 0;
}

int
an_interrupt (memif_conn_handle_t conn, void *ctx, uint16_t qid)
{
  CHECK (((end_t *) ctx)->conn == conn && qid == 0);
  ((end_t *) ctx)->interrupts++;
  return 0;
}

void *
an_alloc (size_t size)
{
  return counting_alloc (size);
}

void
a_free (void *block)
{
  counting_free (block);
}

#if RELEASE >= 1810
static int regions_added, regions_mapped, regions_deleted;
static uint32_t next_offset, region_size;

void *
a_realloc (void *old, size_t size)
{
  return counting_realloc (old, size);
}

int
an_add (void **addr, uint32_t size, int *fd, void *ctx)
{
  CHECK (ctx == &slave);
  *fd = memfd_create ("packets", MFD_ALLOW_SEALING);
  CHECK (*fd >= 0 && ftruncate (*fd, size) == 0 && fcntl (*fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  *addr = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
  region_size = size;
  regions_added++;
  return *addr != MAP_FAILED ? 0 : -1;
}

void *
a_get (uint32_t size, int fd, void *ctx)
{
  CHECK (ctx == &master);
  regions_mapped++;
  return mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int
a_del (void *addr, uint32_t size, int fd, void *ctx)
{
  CHECK (ctx == &master || ctx == &slave);
  regions_deleted++;
  return munmap (addr, size) == 0 && close (fd) == 0 ? 0 : -1;
}

/* One buffer after the other, round and round: there are twice as many as are ever in use. */
uint32_t
an_offset (void *ctx)
{
  CHECK (ctx == &slave);
  next_offset = next_offset + 2 * BUFFER <= region_size ? next_offset + BUFFER : 0;
  return next_offset;
}
#endif

/* --- The ends --- */

#if RELEASE >= 1904
static const struct itimerspec often = { { 0, 2000000 }, { 0, 2000000 } };
#endif

static void
start (void)
{
#if RELEASE < 1810
  OK (memif_init (an_fd_update, "release", an_alloc, a_free));
#elif RELEASE < 2202
  OK (memif_init (an_fd_update, "release", an_alloc, a_realloc, a_free));
  memif_register_external_region (an_add, a_get, a_del, an_offset);
#else
  memif_socket_args_t args = { .connection_request_timer = often, .on_control_fd_update = an_fd_update };
  args.alloc = an_alloc;
  args.realloc = a_realloc;
  args.free = a_free;
  snprintf (args.path, sizeof args.path, "%s", path);
  snprintf (args.app_name, sizeof args.app_name, "release");
  OK (memif_create_socket (&sock, &args, &master));
  memif_register_external_region (sock, an_add, a_get, a_del, an_offset);
  slave_sock = sock;
  CHECK (strcmp (memif_get_socket_path (sock), path) == 0 && strcmp (memif_get_version_str (), "2.0") == 0);
  CHECK (memif_get_listener_fd (sock) == -1);
  CHECK_ERR (memif_set_listener_fd (sock, -1), MEMIF_ERR_INVAL_ARG);
  OK (memif_set_connection_request_timer (sock, often));
#endif
#if RELEASE >= 1904 && RELEASE < 2202
  OK (memif_set_connection_request_timer (often));
#endif
#if RELEASE >= 1908 && RELEASE < 2202
  OK (memif_create_socket (&sock, path, NULL));
  slave_sock = sock;
#endif
#if OF_THREADS
  OK (memif_per_thread_init (&slave_instance, &slave, an_fd_update, "release", an_alloc, a_realloc, a_free));
  memif_per_thread_register_external_region (slave_instance, an_add, a_get, a_del, an_offset);
  OK (memif_per_thread_create_socket (slave_instance, &slave_sock, path, NULL));
  OK (memif_per_thread_set_connection_request_timer (slave_instance, often));
  CHECK (strcmp (memif_get_socket_filename (slave_sock), path) == 0);
#endif
}

static void
stop (void)
{
#if OF_THREADS
  OK (memif_delete_socket (&slave_sock));
  OK (memif_per_thread_cleanup (&slave_instance));
#endif
#if RELEASE >= 1908
  OK (memif_delete_socket (&sock));
#endif
#if RELEASE < 2202
  OK (memif_cleanup ());
#endif
  CHECK (watched_count == 0 && live_blocks == 0);
}

static void
create (end_t *end, uint8_t is_master)
{
  memif_conn_args_t args = { .num_s2m_rings = 1, .num_m2s_rings = 1, .buffer_size = BUFFER, .log2_ring_size = 4 };
#if RELEASE < 1908
  args.socket_filename = (uint8_t *) path;
#else
  args.socket = is_master ? sock : slave_sock;
#endif
  args.is_master = is_master;
  args.interface_id = 7;
  args.mode = MEMIF_INTERFACE_MODE_IP;
  memcpy (args.secret, "a secret", 9);
  memcpy (args.interface_name, is_master ? "m" : "s", 2);
  OK (memif_create (&end->conn, &args, a_connection_update, a_connection_update, an_interrupt, end));
}

static void
connect_both (void)
{
  create (&slave, 0);
#if RELEASE >= 1904
  CHECK_ERR (memif_request_connection (slave.conn), MEMIF_ERR_CONNREFUSED);
#endif
  create (&master, 1);
#if RELEASE >= 2202
  CHECK (memif_get_listener_fd (sock) >= 0 && memif_get_socket_handle (slave.conn) == sock);
#endif
  UNTIL (master.connects && slave.connects, turn ());
#if RELEASE >= 1904
  CHECK_ERR (memif_request_connection (slave.conn), MEMIF_ERR_ALRCONN);
#endif
}

#if RELEASE < 2106
#define QUEUE ring
#define RECEIVED MEMIF_BUFFER_FLAG_RX
#else
#define QUEUE queue
#define RECEIVED 0
#endif

static void
receive (end_t *end, memif_buffer_t *bufs, uint16_t count)
{
  uint16_t n = 0;
  int efd = -1;
  OK (memif_get_queue_efd (end->conn, 0, &efd));
  UNTIL (end->interrupts, turn ());
  CHECK (readable (efd));
  OK (memif_rx_burst (end->conn, 0, bufs, PACKETS, &n));
  CHECK (n == count && !readable (efd));
  end->interrupts = 0;
  for (int i = 0; i < n; i++)
    {
      CHECK (bufs[i].QUEUE != NULL && bufs[i].len == SIZE_OF_PACKET && *(char *) bufs[i].data == i);
      CHECK ((bufs[i].flags & RECEIVED) == RECEIVED && (bufs[i].flags & MEMIF_BUFFER_FLAG_NEXT) == 0);
      CHECK (bufs[i].desc_index == bufs[0].desc_index + i);
    }
}

static void
exchange (void)
{
  memif_buffer_t bufs[PACKETS];
  uint16_t n = 0, sent = 0;
  CHECK (send_packets (master.conn, PACKETS, SIZE_OF_PACKET) == PACKETS);
  receive (&slave, bufs, PACKETS);
#if RELEASE < 1810
  /* Without a copy: with external regions of this program's kind, buffers are not the ring's to exchange. */
  OK (memif_buffer_enq_tx (slave.conn, 0, bufs, PACKETS, &n));
  CHECK (n == PACKETS && (bufs[0].flags & RECEIVED) == 0);
  OK (memif_tx_burst (slave.conn, 0, bufs, PACKETS, &sent));
  CHECK (sent == PACKETS);
  receive (&master, bufs, PACKETS);
#else
  OK (memif_buffer_enq_tx (slave.conn, 0, bufs, 1, &n));
  CHECK (n == 1);
  OK (memif_tx_burst (slave.conn, 0, bufs, 1, &sent));
  CHECK (sent == 1);
  receive (&master, bufs, 1);
#endif
  OK (memif_refill_queue (master.conn, 0, -1, 0));
  OK (memif_refill_queue (slave.conn, 0, -1, 0));
  OK (memif_buffer_alloc (slave.conn, 0, bufs, 2, &n, SIZE_OF_PACKET));
  CHECK (n == 2);
#if RELEASE >= 2106
  OK (memif_buffer_requeue (slave.conn, &bufs[0], &bufs[1]));
  OK (memif_set_next_free_buffer (slave.conn, 0, &bufs[1]));
#endif
  OK (memif_set_rx_mode (slave.conn, MEMIF_RX_MODE_POLLING, 0));
}

static void
details (void)
{
  char text[4096];
  memif_details_t md;
  OK (memif_get_details (slave.conn, &md, text, sizeof text));
  CHECK (strcmp ((char *) md.if_name, "s") == 0 && strcmp ((char *) md.remote_if_name, "m") == 0);
  CHECK (strcmp ((char *) md.inst_name, "release") == 0 && strcmp ((char *) md.remote_inst_name, "release") == 0);
  CHECK (md.id == 7 && strcmp ((char *) md.secret, "a secret") == 0 && md.role == 1 && md.mode == 1);
#if RELEASE < 2202
  CHECK (strcmp ((char *) md.socket_filename, path) == 0);
#else
  CHECK (strcmp ((char *) md.socket_path, path) == 0);
#endif
  CHECK (md.link_up_down == 1 && md.rx_queues_num == 1 && md.tx_queues_num == 1);
  const memif_queue_details_t *const rx = md.rx_queues, *const tx = md.tx_queues;
  CHECK (rx->qid == 0 && rx->ring_size == 16 && (rx->flags & MEMIF_QUEUE_FLAG_POLLING) && rx->buffer_size == BUFFER);
  CHECK (rx->tail == PACKETS && tx->head == tx->tail && (tx->flags & MEMIF_QUEUE_FLAG_POLLING) == 0);
#if RELEASE >= 1810
  CHECK (rx->region == 0 && tx->region == 0 && md.error != NULL && md.regions_num == 2);
  CHECK (md.regions[0].index == 0 && !md.regions[0].is_external && md.regions[1].index == 1
         && md.regions[1].is_external);
  CHECK (md.regions[1].size == region_size && md.regions[1].addr != NULL && md.regions[1].fd >= 0);
  CHECK (regions_added == 1 && regions_mapped == 1 && regions_deleted == 0);
#endif
}

/* --- The library polls --- */

static void
library_polls (void)
{
#if RELEASE < 1810
  OK (memif_init (NULL, NULL, NULL, NULL));
#elif RELEASE < 2202
  OK (memif_init (NULL, NULL, NULL, NULL, NULL));
#endif
#if RELEASE < 2202
  OK (memif_poll_event (0));
  OK (memif_cancel_poll_event ());
  CHECK_ERR (memif_poll_event (-1), MEMIF_ERR_POLL_CANCEL);
  OK (memif_cleanup ());
#else
  memif_socket_args_t args = { .path = "@release" };
  OK (memif_create_socket (&sock, &args, NULL));
  CHECK (memif_get_socket_filename (sock) == memif_get_socket_path (sock));
  OK (memif_poll_event (sock, 0));
  OK (memif_cancel_poll_event (sock));
  CHECK_ERR (memif_poll_event (sock, -1), MEMIF_ERR_POLL_CANCEL);
  OK (memif_delete_socket (&sock));
#endif
#if OF_THREADS
  OK (memif_per_thread_init (&slave_instance, NULL, NULL, NULL, NULL, NULL, NULL));
  OK (memif_per_thread_poll_event (slave_instance, 0));
  OK (memif_per_thread_cancel_poll_event (slave_instance));
  CHECK_ERR (memif_per_thread_poll_event (slave_instance, -1), MEMIF_ERR_POLL_CANCEL);
  OK (memif_per_thread_cleanup (&slave_instance));
#endif
}

int
main (void)
{
  path = unique_path ();
  CHECK (memif_get_version () == 0x0200);
  for (int i = 0; i < (int) (sizeof codes / sizeof codes[0]); i++)
    CHECK (codes[i] == i && strlen (memif_strerror (i)) > 3);
  start ();
  connect_both ();
  exchange ();
  details ();
  OK (memif_delete (&slave.conn));
  UNTIL (master.disconnects, turn ());
  OK (memif_delete (&master.conn));
#if RELEASE >= 1810
  CHECK (regions_deleted == 2);
#endif
  stop ();
  library_polls ();
  return 0;
}
