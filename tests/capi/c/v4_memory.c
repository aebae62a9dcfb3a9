/* Generation 4: allocators, external regions, listener descriptors. */
#include "v4.h"

/* --- Memory --- */

static int
try_all (memif_socket_args_t *args)
{
  memif_socket_handle_t sock = NULL;
  memif_conn_handle_t conns[20] = { NULL };
  int err = memif_create_socket (&sock, args, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    return err;
  for (uint32_t i = 0; i < 20 && err == MEMIF_ERR_SUCCESS; i++)
    {
      memif_conn_args_t conn = { .socket = sock, .is_master = i % 2, .interface_id = i };
      err = memif_create (&conns[i], &conn, NULL, NULL, NULL, NULL);
      CHECK ((err == MEMIF_ERR_SUCCESS) == (conns[i] != NULL));
    }
  for (int i = 0; i < 20; i++)
    if (conns[i] != NULL)
      OK (memif_delete (&conns[i]));
  OK (memif_delete_socket (&sock));
  return err;
}

static void
allocators_are_used_and_may_fail (void)
{
  const int fds = count_fds ();
  memif_socket_args_t args = { .alloc = counting_alloc, .realloc = counting_realloc, .free = counting_free };
  snprintf (args.path, sizeof args.path, "%s", unique_path ());
  OK (try_all (&args));
  CHECK (allocations >= 20 * 3 && live_blocks == 0);
  const long needed = allocations;
  for (fail_after = 0; fail_after < needed; fail_after++)
    {
      allocations = 0;
      CHECK_ERR (try_all (&args), MEMIF_ERR_NOMEM);
      CHECK (live_blocks == 0 && fds_come_down_to (fds));
    }
  allocations = 0;
  OK (try_all (&args));
  fail_after = -1;
}

/* --- External regions --- */

static struct
{
  int added, mapped, deleted, offsets;
  char *slave_memory, *master_memory;
  uint32_t next, size;
} region;

static int
add_region (void **addr, uint32_t size, int *fd, void *ctx)
{
  CHECK (ctx != NULL);
  region.size = size;
  *fd = memfd_create ("external", MFD_ALLOW_SEALING);
  CHECK (*fd >= 0 && ftruncate (*fd, size) == 0);
  CHECK (fcntl (*fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  *addr = region.slave_memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
  region.added++;
  return 0;
}

static void *
map_region (uint32_t size, int fd, void *ctx)
{
  CHECK (ctx != NULL);
  region.mapped++;
  return region.master_memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static int
delete_region (void *addr, uint32_t size, int fd, void *ctx)
{
  (void) ctx;
  CHECK (addr == region.slave_memory || addr == region.master_memory);
  CHECK (munmap (addr, size) == 0 && close (fd) == 0);
  region.deleted++;
  return 0;
}

static uint32_t
next_offset (void *ctx)
{
  (void) ctx;
  region.offsets++;
  region.next = (region.next + 3 * 256 + 32) % (region.size - 256); /* anywhere */
  return region.next;
}

static int
refuse_region (void **addr, uint32_t size, int *fd, void *ctx)
{
  (void) addr, (void) size, (void) fd, (void) ctx;
  return -1;
}

static void
external_regions (int with_offsets)
{
  pair_t pair = { 0 };
  memset (&region, 0, sizeof region);
  const int fds = count_fds ();
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  memif_register_external_region (pair.slave.sock, add_region, NULL, delete_region, with_offsets ? next_offset : NULL);
  memif_register_external_region (pair.master.sock, NULL, map_region, delete_region, NULL);
  memif_conn_args_t args = { .buffer_size = 256, .log2_ring_size = 6 };
  create_end (&pair.master, args, 1);
  create_end (&pair.slave, args, 0);
  UNTIL (pair.master.connects && pair.slave.connects, poll_both (&pair));
  CHECK (region.added == 1 && region.mapped == 1);
  CHECK (region.size == 2 * 64 * 256);
  OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
  CHECK (!with_offsets || region.offsets == 64);
  memif_buffer_t bufs[32];
  uint16_t n;
  for (int i = 0; i < 40; i++)
    {
      CHECK (send_marked (pair.slave.conn, 1, 256, (uint8_t) i) == 1);
      OK (memif_rx_burst (pair.master.conn, 0, bufs, 32, &n));
      CHECK (n == 1 && *(uint8_t *) bufs[0].data == i);
      CHECK ((char *) bufs[0].data >= region.master_memory);
      CHECK ((char *) bufs[0].data < region.master_memory + region.size);
      OK (memif_refill_queue (pair.master.conn, 0, -1, 0));
      CHECK (send_marked (pair.master.conn, 1, 256, (uint8_t) (i + 100)) == 1);
      OK (memif_rx_burst (pair.slave.conn, 0, bufs, 32, &n));
      CHECK (n == 1 && *(uint8_t *) bufs[0].data == i + 100);
      CHECK ((char *) bufs[0].data >= region.slave_memory);
      OK (memif_refill_queue (pair.slave.conn, 0, -1, 0));
    }
  char buf[4096];
  memif_details_t md;
  OK (memif_get_details (pair.slave.conn, &md, buf, sizeof buf));
  CHECK (md.regions_num == 2 && md.regions[1].is_external && md.regions[1].addr == region.slave_memory);
  CHECK (!md.regions[0].is_external);
  close_pair (&pair);
  CHECK (region.deleted == 2 && fds_come_down_to (fds));

  memset (&pair, 0, sizeof pair);
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  memif_register_external_region (pair.slave.sock, refuse_region, NULL, delete_region, NULL);
  create_end (&pair.master, args, 1);
  create_end (&pair.slave, args, 0);
  md.error = NULL;
  UNTIL (md.error != NULL && strstr ((char *) md.error, "memory") != NULL, {
    poll_both (&pair);
    OK (memif_get_details (pair.slave.conn, &md, buf, sizeof buf));
  });
  CHECK (region.deleted == 2);
  close_pair (&pair);
}

static void
external_regions_on_a_grid (void)
{
  external_regions (0);
}

static void
external_regions_with_offsets (void)
{
  external_regions (1);
}

static void
listener_descriptors (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket (AF_UNIX, SOCK_SEQPACKET, 0), unbound = socket (AF_UNIX, SOCK_SEQPACKET, 0);
  CHECK (bind (fd, (struct sockaddr *) &address, sizeof address) == 0 && listen (fd, 8) == 0);
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  CHECK (memif_get_listener_fd (pair.master.sock) == -1);
  CHECK_ERR (memif_set_listener_fd (pair.master.sock, -1), MEMIF_ERR_INVAL_ARG);
  CHECK_ERR (memif_set_listener_fd (pair.master.sock, 1000), MEMIF_ERR_BAD_FD);
  CHECK_ERR (memif_set_listener_fd (pair.master.sock, 0), MEMIF_ERR_FILE_NOT_SOCK);
  CHECK_ERR (memif_set_listener_fd (pair.master.sock, unbound), MEMIF_ERR_INVAL_ARG);
  CHECK (fcntl (unbound, F_GETFD) >= 0); /* still the program's */
  OK (memif_set_listener_fd (pair.master.sock, fd));
  CHECK (memif_get_listener_fd (pair.master.sock) == fd);
  CHECK_ERR (memif_set_listener_fd (pair.master.sock, unbound), MEMIF_ERR_ALREADY);
  create_end (&pair.master, (memif_conn_args_t){ 0 }, 1);
  create_end (&pair.slave, (memif_conn_args_t){ 0 }, 0);
  UNTIL (pair.master.connects && pair.slave.connects, poll_both (&pair));
  close_pair (&pair);
  UNTIL (fcntl (fd, F_GETFD) < 0, poll (NULL, 0, 1));
  CHECK (access (path, F_OK) == 0);
  unlink (path);
  close (unbound);
}

/* The slave needs more than 4 MiB for its two rings of 1024 buffers. */
static void
a_slaves_memory_is_limited_by_the_environment (void)
{
  pair_t pair = { 0 };
  const char *path = unique_path ();
  open_socket (&pair.master, path, "m");
  open_socket (&pair.slave, path, "s");
  memif_conn_args_t args = { .socket = pair.master.sock, .is_master = 1, .log2_ring_size = 10 };
  const char *const wrong[] = { "lots", "64MB", "-1", "1", "99999999999G" };
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
    {
      setenv ("MEMIF_MAX_PEER_MEMORY", wrong[i], 1);
      const int err = memif_create (&pair.master.conn, &args, NULL, NULL, NULL, NULL);
      CHECK_ERR (err, MEMIF_ERR_INVAL_ARG);
      CHECK (strstr (memif_strerror (err), i == 3 ? "max_peer_memory" : "MEMIF_MAX_PEER_MEMORY") != NULL);
    }
  setenv ("MEMIF_MAX_PEER_MEMORY", "4M", 1);
  create_end (&pair.master, args, 1);
  unsetenv ("MEMIF_MAX_PEER_MEMORY");
  create_end (&pair.slave, args, 0);
  memif_details_t md = { 0 };
  char buf[4096];
  UNTIL (md.error != NULL && strstr ((char *) md.error, "the limit is 4194304 (max_peer_memory)") != NULL, {
    poll_both (&pair);
    OK (memif_get_details (pair.slave.conn, &md, buf, sizeof buf));
  });
  CHECK (pair.master.connects == 0);
  OK (memif_delete (&pair.master.conn));
  setenv ("MEMIF_MAX_PEER_MEMORY", "8M", 1);
  create_end (&pair.master, args, 1);
  unsetenv ("MEMIF_MAX_PEER_MEMORY");
  OK (memif_request_connection (pair.slave.conn));
  UNTIL (pair.master.connects && pair.slave.connects, poll_both (&pair));
  close_pair (&pair);
}

static const case_t cases[] = {
  CASE (allocators_are_used_and_may_fail),
  CASE (external_regions_on_a_grid),
  CASE (external_regions_with_offsets),
  CASE (listener_descriptors),
  CASE (a_slaves_memory_is_limited_by_the_environment),
};

int
main (int argc, char **argv)
{
  return RUN_CASES (argc, argv);
}
