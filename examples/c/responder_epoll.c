/* ICMP responders, generation 2, in the program's own event loop: any number of interfaces, and commands on standard
 * input. "help" lists those. "exit", end of file or Ctrl+C ends it.
 *
 *   responder_epoll SOCKET
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "burst.h"

enum
{
  max_ports = 16,
  max_words = 6,
  frame_size = 60
};

typedef struct
{
  memif_conn_handle_t conn; /* NULL: not in use */
  icmp_host_t host;
  int up;
  unsigned long answered, sent;
} port_t;

static const char *socket_path;
static port_t ports[max_ports]; /* by interface id */
static int epoll_fd;
static volatile sig_atomic_t running = 1;

static void
complain (const char *what, int err)
{
  if (err != MEMIF_ERR_SUCCESS)
    printf ("%s: %s\n", what, memif_strerror (err));
}

/* --- What libmemif calls --------------------------------------------------------------------------------------------
 */

static int
on_control_fd_update (int fd, uint8_t events)
{
  struct epoll_event event = { .data = { .fd = fd } };
  if ((events & MEMIF_FD_EVENT_DEL) != 0)
    return epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, NULL);
  event.events
      = ((events & MEMIF_FD_EVENT_READ) != 0 ? EPOLLIN : 0) | ((events & MEMIF_FD_EVENT_WRITE) != 0 ? EPOLLOUT : 0);
  return epoll_ctl (epoll_fd, (events & MEMIF_FD_EVENT_MOD) != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

static int
on_connect (memif_conn_handle_t conn, void *context)
{
  port_t *port = context;
  port->up = 1;
  printf ("%d connected\n", (int) (port - ports));
  return memif_refill_queue (conn, 0, UINT16_MAX, 0);
}

static int
on_disconnect (memif_conn_handle_t conn, void *context)
{
  (void) conn;
  port_t *port = context;
  port->up = 0;
  printf ("%d disconnected\n", (int) (port - ports));
  return 0;
}

static int
on_interrupt (memif_conn_handle_t conn, void *context, uint16_t qid)
{
  port_t *port = context;
  complain ("receiving", answer_burst (conn, qid, &port->host, &port->answered));
  return 0;
}

/* --- Commands: each gets the port that its first word names, and its other words -------------------------------------
 */

static void
command_conn (port_t *port, char **words, int count)
{
  memif_conn_args_t args = { .socket_filename = (uint8_t *) socket_path, .interface_id = (uint32_t) (port - ports) };
  if (port->conn != NULL || count < 1 || icmp_host (&port->host, words[0]) != 0)
    {
      puts ("conn ID ADDRESS [master]: of an interface that is not there yet");
      return;
    }
  args.is_master = count > 1 && strcmp (words[1], "master") == 0;
  complain ("memif_create", memif_create (&port->conn, &args, on_connect, on_disconnect, on_interrupt, port));
}

static void
command_del (port_t *port, char **words, int count)
{
  (void) words, (void) count;
  complain ("memif_delete", memif_delete (&port->conn));
  memset (port, 0, sizeof *port);
}

static void
command_show (port_t *port, char **words, int count)
{
  char text[4096];
  memif_details_t details;
  (void) words, (void) count;
  const int err = memif_get_details (port->conn, &details, text, sizeof text);
  if (err != MEMIF_ERR_SUCCESS)
    {
      complain ("memif_get_details", err);
      return;
    }
  const uint8_t *address = port->host.address;
  printf ("%u %s: %s, %s, %d.%d.%d.%d, peer '%s' of '%s'\n", details.id, (char *) details.if_name,
          details.role == 0 ? "master" : "slave", details.link_up_down ? "up" : "down", address[0], address[1],
          address[2], address[3], (char *) details.remote_if_name, (char *) details.remote_inst_name);
  for (int i = 0; i < details.rx_queues_num; i++)
    printf ("  rx %d: %u slots, head %u, tail %u, %s\n", i, details.rx_queues[i].ring_size, details.rx_queues[i].head,
            details.rx_queues[i].tail,
            (details.rx_queues[i].flags & MEMIF_QUEUE_FLAG_POLLING) != 0 ? "polling" : "interrupt");
  for (int i = 0; i < details.tx_queues_num; i++)
    printf ("  tx %d: %u slots, head %u, tail %u\n", i, details.tx_queues[i].ring_size, details.tx_queues[i].head,
            details.tx_queues[i].tail);
}

static void
command_ip_set (port_t *port, char **words, int count)
{
  icmp_host_t host;
  if (count < 1 || icmp_host (&host, words[0]) != 0)
    puts ("ip-set ID ADDRESS");
  else
    port->host = host;
}

static void
command_rx_mode (port_t *port, char **words, int count)
{
  if (count < 1)
    {
      puts ("rx-mode ID interrupt|polling");
      return;
    }
  const memif_rx_mode_t mode = strcmp (words[0], "polling") == 0 ? MEMIF_RX_MODE_POLLING : MEMIF_RX_MODE_INTERRUPT;
  complain ("memif_set_rx_mode", memif_set_rx_mode (port->conn, mode, 0));
}

static void
command_sh_count (port_t *port, char **words, int count)
{
  (void) words, (void) count;
  printf ("%d: %lu answered, %lu sent\n", (int) (port - ports), port->answered, port->sent);
}

/* Frames of zeros, to all. */
static void
command_send (port_t *port, char **words, int count)
{
  unsigned long left = count > 0 ? strtoul (words[0], NULL, 0) : 1;
  while (left != 0)
    {
      memif_buffer_t buf;
      uint16_t n = 0;
      int err = memif_buffer_alloc (port->conn, 0, &buf, 1, &n, frame_size);
      if (err == MEMIF_ERR_SUCCESS)
        {
          memset (buf.data, 0, frame_size);
          memset (buf.data, 0xff, 6);
          err = memif_tx_burst (port->conn, 0, &buf, 1, &n);
        }
      if (err != MEMIF_ERR_SUCCESS)
        {
          complain ("sending", err);
          return;
        }
      port->sent++;
      left--;
    }
}

static const struct
{
  const char *name;
  void (*run) (port_t *port, char **words, int count);
  const char *help;
} commands[] = {
  { "conn", command_conn, "ID ADDRESS [master]" },
  { "del", command_del, "ID" },
  { "show", command_show, "ID" },
  { "ip-set", command_ip_set, "ID ADDRESS" },
  { "rx-mode", command_rx_mode, "ID interrupt|polling" },
  { "sh-count", command_sh_count, "ID" },
  { "send", command_send, "ID [COUNT]" },
};

static void
run_command (char *line)
{
  char *words[max_words], *rest = NULL;
  int count = 0;
  for (char *word = strtok_r (line, " \t\r", &rest); word != NULL && count < max_words;
       word = strtok_r (NULL, " \t\r", &rest))
    words[count++] = word;
  if (count == 0)
    return;
  if (strcmp (words[0], "exit") == 0)
    {
      running = 0;
      return;
    }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    {
      if (strcmp (words[0], commands[i].name) != 0)
        continue;
      const unsigned long id = count > 1 ? strtoul (words[1], NULL, 0) : max_ports;
      if (id >= max_ports)
        printf ("%s %s, with an ID below %d\n", commands[i].name, commands[i].help, max_ports);
      else if (ports[id].conn == NULL && commands[i].run != command_conn)
        printf ("no interface %lu\n", id);
      else
        commands[i].run (&ports[id], words + 2, count - 2);
      return;
    }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    printf ("%s %s\n", commands[i].name, commands[i].help);
  puts ("exit");
}

static void
read_commands (void)
{
  static char text[1024];
  static size_t length;
  const ssize_t got = read (STDIN_FILENO, text + length, sizeof text - 1 - length);
  if (got <= 0)
    {
      running = 0;
      return;
    }
  length += (size_t) got;
  char *end;
  while ((end = memchr (text, '\n', length)) != NULL)
    {
      *end = '\0';
      run_command (text);
      length -= (size_t) (end + 1 - text);
      memmove (text, end + 1, length);
    }
  if (length == sizeof text - 1)
    length = 0; /* no command is that long */
}

/* --- The event loop
 * --------------------------------------------------------------------------------------------------- */

static void
handle (const struct epoll_event *event)
{
  if (event->data.fd == STDIN_FILENO)
    {
      read_commands ();
      return;
    }
  uint8_t events = 0;
  if ((event->events & EPOLLIN) != 0)
    events |= MEMIF_FD_EVENT_READ;
  if ((event->events & EPOLLOUT) != 0)
    events |= MEMIF_FD_EVENT_WRITE;
  if ((event->events & (EPOLLERR | EPOLLHUP)) != 0)
    events |= MEMIF_FD_EVENT_ERROR;
  complain ("memif_control_fd_handler", memif_control_fd_handler (event->data.fd, events));
}

static void
stop (int number)
{
  (void) number;
  running = 0;
}

int
main (int argc, char **argv)
{
  if (argc != 2)
    {
      fprintf (stderr, "usage: %s SOCKET\n", argv[0]);
      return 2;
    }
  socket_path = argv[1];
  setvbuf (stdout, NULL, _IOLBF, 0);
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event input = { .events = EPOLLIN, .data = { .fd = STDIN_FILENO } };
  if (epoll_fd < 0 || epoll_ctl (epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0)
    {
      perror ("epoll");
      return EXIT_FAILURE;
    }
  const int err = memif_init (on_control_fd_update, "responder-epoll", NULL, NULL);
  if (err != MEMIF_ERR_SUCCESS)
    {
      complain ("memif_init", err);
      return EXIT_FAILURE;
    }
  /* Signals come in while epoll_pwait waits, and only there. */
  sigset_t ends, before;
  sigemptyset (&ends);
  sigaddset (&ends, SIGINT);
  sigaddset (&ends, SIGTERM);
  sigprocmask (SIG_BLOCK, &ends, &before);
  signal (SIGINT, stop);
  signal (SIGTERM, stop);
  while (running)
    {
      struct epoll_event event;
      if (epoll_pwait (epoll_fd, &event, 1, -1, &before) == 1)
        handle (&event);
    }
  for (int i = 0; i < max_ports; i++)
    if (ports[i].conn != NULL)
      memif_delete (&ports[i].conn);
  memif_cleanup ();
  close (epoll_fd);
  return EXIT_SUCCESS;
}
