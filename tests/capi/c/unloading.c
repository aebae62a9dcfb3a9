/* A program that loads generation 4 while it needs it (as plug-ins and bindings do), with a SIGBUS handler of its own.
 * Memory that a peer can shrink makes the library catch SIGBUS too: the program's handler must be called as before once
 * the library is closed, and once it is loaded again. Takes the library's path. */
#include "check.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf back;
static int caught;

static void
on_sigbus (int number)
{
  (void) number;
  caught++;
  siglongjmp (back, 1);
}

static void
fault_in_memory_of_the_program (void)
{
  const int fd = memfd_create ("own", 0), before = caught;
  CHECK (ftruncate (fd, 4096) == 0);
  volatile char *memory = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK (memory != MAP_FAILED && ftruncate (fd, 0) == 0);
  if (sigsetjmp (back, 1) == 0)
    memory[0] = 1;
  CHECK (caught == before + 1);
  CHECK (munmap ((void *) memory, 4096) == 0 && close (fd) == 0);
}

static int
add_region (void **addr, uint32_t size, int *fd, void *ctx)
{
  (void) ctx;
  *fd = memfd_create ("unsealed", 0);
  CHECK (ftruncate (*fd, size) == 0);
  *addr = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
  return *addr == MAP_FAILED;
}

static int
del_region (void *addr, uint32_t size, int fd, void *ctx)
{
  (void) ctx;
  return munmap (addr, size) | close (fd);
}

static int connects;

static int
on_connect (memif_conn_handle_t conn, void *ctx)
{
  (void) conn, (void) ctx;
  connects++;
  return 0;
}

#define FUNCTION(name) __typeof__ (name) *const name##_ = (__typeof__ (name) *) dlsym (library, #name)

static void
use (void *library)
{
  FUNCTION (memif_create_socket);
  FUNCTION (memif_register_external_region);
  FUNCTION (memif_create);
  FUNCTION (memif_poll_event);
  FUNCTION (memif_delete);
  FUNCTION (memif_delete_socket);
  memif_socket_args_t args = { 0 };
  snprintf (args.path, sizeof args.path, "%s", unique_path ());
  memif_socket_handle_t sock = NULL;
  memif_conn_handle_t master = NULL, slave = NULL;
  CHECK (memif_create_socket_ (&sock, &args, NULL) == 0);
  memif_register_external_region_ (sock, add_region, NULL, del_region, NULL);
  memif_conn_args_t master_args = { .socket = sock, .is_master = 1 }, slave_args = { .socket = sock };
  connects = 0;
  CHECK (memif_create_ (&master, &master_args, on_connect, NULL, NULL, NULL) == 0);
  CHECK (memif_create_ (&slave, &slave_args, on_connect, NULL, NULL, NULL) == 0);
  UNTIL (connects == 2, CHECK (memif_poll_event_ (sock, 1) == 0));
  CHECK (memif_delete_ (&slave) == 0 && memif_delete_ (&master) == 0 && memif_delete_socket_ (&sock) == 0);
}

int
main (int argc, char **argv)
{
  CHECK (argc == 2);
  CHECK (signal (SIGBUS, on_sigbus) != SIG_ERR);
  for (int round = 0; round < 2; round++)
    {
      void *library = dlopen (argv[1], RTLD_NOW | RTLD_LOCAL);
      CHECK (library != NULL);
      use (library);
      fault_in_memory_of_the_program ();
      CHECK (dlclose (library) == 0);
      fault_in_memory_of_the_program ();
    }
  return 0;
}
