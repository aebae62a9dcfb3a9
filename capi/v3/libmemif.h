/* libmemif, generation 3 (3.0 and 3.1, VPP 19.08 to 21.10): packets through shared memory, for C. For programs that were
 * written for it; new ones use generation 4.
 *
 * An instance is a control plane: the global one (memif_init) or one of a thread's (memif_per_thread_init). It has the
 * descriptors that drive its interfaces, and any number of sockets (memif_create_socket). An interface (memif_create) is
 * one end of a link: a slave connects and brings the memory, a master listens. Packets are never copied:
 * memif_rx_burst and memif_buffer_alloc hand out pointers into the shared memory.
 *
 * Results: every function that returns int returns MEMIF_ERR_SUCCESS (0) or another memif_err_t. memif_strerror
 * explains it.
 *
 * Threads: any thread may call any function, also while another one polls. Calls on one instance and its interfaces wait
 * for each other, but not for a poll that sleeps, nor for callbacks; those run on the thread whose call led to them.
 * memif_delete waits until no other thread is in a callback of that interface. A handle must not be used by anybody
 * once memif_delete has it.
 * memif_rx_burst, memif_refill_queue, memif_buffer_alloc, memif_tx_burst, memif_buffer_enq_tx, memif_buffer_requeue and
 * memif_set_next_free_buffer wait for each other where they use the same queue, and for nothing else. A queue is fastest
 * in the hands of one thread; those who share one agree on which buffers are whose: buffers are given back and sent in
 * the order in which they were handed out. memif_get_queue_efd, memif_get_details,
 * memif_cancel_poll_event, memif_strerror and memif_get_version wait for nobody.
 * A thread that is cancelled (pthread_cancel) ends where memif_poll_event sleeps, and nowhere else in these functions or
 * the callbacks that they call.
 *
 * Environment: MEMIF_LOG=debug (or info, warning, error) logs to standard error.
 */
#ifndef _LIBMEMIF_3_H_
#define _LIBMEMIF_3_H_

#include <inttypes.h>
#include <stddef.h>
#include <sys/timerfd.h>
#include <sys/types.h>

/* musl hides it from programs in strict ISO C. */
#if !defined(__GLIBC__) && !defined(TIMER_ABSTIME)
struct itimerspec
{
  struct timespec it_interval;
  struct timespec it_value;
};
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LIBMEMIF_VERSION "3.1"

/* The UNIX socket of interfaces that name none. */
#define MEMIF_DEFAULT_SOCKET_DIR "/run/vpp"
#define MEMIF_DEFAULT_SOCKET_FILENAME "memif.sock"
#define MEMIF_DEFAULT_SOCKET_PATH MEMIF_DEFAULT_SOCKET_DIR "/" MEMIF_DEFAULT_SOCKET_FILENAME

/* The name told to peers when a program gives none. */
#define MEMIF_DEFAULT_APP_NAME "libmemif-app"

/* memif_cancel_poll_event is there. */
#define MEMIF_HAVE_CANCEL_POLL_EVENT 1

/* memif_strerror says what each means. */
typedef enum
{
  MEMIF_ERR_SUCCESS = 0,
  MEMIF_ERR_SYSCALL,         /* errno is kept; memif_strerror says which call failed on what */
  MEMIF_ERR_CONNREFUSED,     /* memif_request_connection: nobody is there yet */
  MEMIF_ERR_ACCES,           /* no permission for the socket file */
  MEMIF_ERR_NO_FILE,         /* the socket's directory does not exist */
  MEMIF_ERR_FILE_LIMIT,      /* no descriptor left in the system */
  MEMIF_ERR_PROC_FILE_LIMIT, /* no descriptor left in the process */
  MEMIF_ERR_ALREADY,
  MEMIF_ERR_AGAIN,
  MEMIF_ERR_BAD_FD,
  MEMIF_ERR_NOMEM,
  MEMIF_ERR_INVAL_ARG,
  MEMIF_ERR_NOCONN,          /* the handle is NULL */
  MEMIF_ERR_CONN,            /* the handle is in use */
  MEMIF_ERR_CB_FDUPDATE,     /* the program's descriptor callback returned a negative number */
  MEMIF_ERR_FILE_NOT_SOCK,
  MEMIF_ERR_NO_SHMFD,
  MEMIF_ERR_COOKIE,
  MEMIF_ERR_NOBUF_RING,      /* the ring had room for fewer packets; those are there */
  MEMIF_ERR_NOBUF,           /* the array is full and more is waiting */
  MEMIF_ERR_NOBUF_DET,
  MEMIF_ERR_INT_WRITE,
  MEMIF_ERR_MFMSG,
  MEMIF_ERR_QID,             /* the interface, or the present link, has no such queue */
  MEMIF_ERR_PROTO,
  MEMIF_ERR_ID,              /* a master of that id is on the socket already */
  MEMIF_ERR_ACCSLAVE,
  MEMIF_ERR_ALRCONN,         /* connected, or connecting */
  MEMIF_ERR_MODE,
  MEMIF_ERR_SECRET,
  MEMIF_ERR_NOSECRET,
  MEMIF_ERR_MAXREG,
  MEMIF_ERR_MAXRING,
  MEMIF_ERR_NO_INTFD,
  MEMIF_ERR_DISCONNECT,
  MEMIF_ERR_DISCONNECTED,    /* there is no link at present */
  MEMIF_ERR_UNKNOWN_MSG,
  MEMIF_ERR_POLL_CANCEL,     /* memif_poll_event was woken by memif_cancel_poll_event */
  MEMIF_ERR_MAX_RING,        /* log2_ring_size above 14 */
  MEMIF_ERR_PRIVHDR
} memif_err_t;

/* What to watch a descriptor for, and what has happened to it: bits. DEL: stop watching, it is about to be closed. MOD:
 * it is watched already, for other events than the ones that come with this. */
#define MEMIF_FD_EVENT_READ 1
#define MEMIF_FD_EVENT_WRITE 2
#define MEMIF_FD_EVENT_ERROR 4
#define MEMIF_FD_EVENT_DEL 8
#define MEMIF_FD_EVENT_MOD 16

/* An interface. Valid until memif_delete, over any number of links. */
typedef void *memif_conn_handle_t;

/* A socket. Valid until memif_delete_socket. */
typedef void *memif_socket_handle_t;

/* An instance of a thread's. Valid until memif_per_thread_cleanup. */
typedef void *memif_per_thread_main_handle_t;

/* Allocation functions of a program's, as malloc, realloc and free. */
typedef void *(memif_alloc_t) (size_t size);
typedef void *(memif_realloc_t) (void *ptr, size_t size);
typedef void (memif_free_t) (void *ptr);

/* Told of each descriptor that is to be watched; private_ctx is the one of memif_per_thread_init, NULL for the global
 * instance. Returns 0, or a negative number if it cannot be watched. Called from inside other calls, which others
 * wait for: it must not wait for them. */
typedef int (memif_control_fd_update_t) (int fd, uint8_t events, void *private_ctx);

/* A link has come up or gone down; private_ctx is the one of memif_create. The result is ignored. Any
 * function may be called in it, memif_delete too. */
typedef int (memif_connection_update_t) (memif_conn_handle_t conn, void *private_ctx);

/* Packets may be waiting in receive queue `qid`. The result is ignored. */
typedef int (memif_interrupt_t) (memif_conn_handle_t conn, void *private_ctx, uint16_t qid);

/* External regions; private_ctx is the interface's. See memif_register_external_region. */
typedef uint32_t (memif_get_external_buffer_offset_t) (void *private_ctx);
typedef int (memif_add_external_region_t) (void **addr, uint32_t size, int *fd, void *private_ctx);
typedef void *(memif_get_external_region_addr_t) (uint32_t size, int fd, void *private_ctx);
typedef int (memif_del_external_region_t) (void *addr, uint32_t size, int fd, void *private_ctx);

/* What packets are. Both ends must agree. */
#ifndef _MEMIF_H_ /* memif.h has it, too */
#define _MEMIF_INTERFACE_MODE_T_
typedef enum
{
  MEMIF_INTERFACE_MODE_ETHERNET = 0,
  MEMIF_INTERFACE_MODE_IP = 1,
  MEMIF_INTERFACE_MODE_PUNT_INJECT = 2
} memif_interface_mode_t;
#endif

/* Whether a receive queue's sender is to signal its event descriptor. */
typedef enum
{
  MEMIF_RX_MODE_INTERRUPT = 0,
  MEMIF_RX_MODE_POLLING
} memif_rx_mode_t;

/* Zero means the default, given in brackets, wherever there is one; memif_create puts it there. */
typedef struct
{
  memif_socket_handle_t socket; /* NULL: MEMIF_DEFAULT_SOCKET_PATH, on the global instance */
  uint8_t secret[24];        /* of both ends; not terminated if it fills the field; empty: none */
  uint8_t num_s2m_rings;     /* [1] queues from slave to master; what the peer has fewer of is not there */
  uint8_t num_m2s_rings;     /* [1] queues from master to slave */
  uint16_t buffer_size;      /* [2048] slave: bytes of a packet buffer */
  uint8_t log2_ring_size;    /* [10] slave: at most 14 */
  uint8_t is_master;         /* 0: slave */
  uint32_t interface_id;     /* that both ends name */
  uint8_t interface_name[32]; /* told to the peer; not terminated if it fills the field; empty: "memif/<id>" */
  memif_interface_mode_t mode : 8;
} memif_conn_args_t;

#define MEMIF_BUFFER_FLAG_NEXT 1 /* the packet goes on in the next buffer of the array */
#define MEMIF_BUFFER_FLAG_RX 2   /* set by memif_rx_burst, taken away by memif_buffer_enq_tx; nothing depends on it */

/* A piece of shared memory that holds a packet, or part of one. */
typedef struct
{
  uint16_t desc_index; /* its slot in the ring */
  /* The queue that the slot is in: `ring` to programs of before 21.06. */
#if defined(__GNUC__) && !defined(__cplusplus) && !(defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
  __extension__ /* what C11 has, and what older C is told not to complain about */
#endif
  union
  {
    void *queue;
    void *ring;
  };
  uint32_t len;        /* bytes of the packet in this buffer */
  uint8_t flags;       /* MEMIF_BUFFER_FLAG_NEXT, MEMIF_BUFFER_FLAG_RX */
  void *data;          /* where they begin */
} memif_buffer_t;

#define MEMIF_QUEUE_FLAG_POLLING 1 /* the ring's receiver wants no interrupts */

typedef struct
{
  uint8_t region;       /* in which the ring lies */
  uint8_t qid;
  uint32_t ring_size;   /* descriptors */
  uint16_t flags;       /* as they are in the ring at this moment, like head and tail */
  uint16_t head;
  uint16_t tail;
  uint16_t buffer_size; /* bytes */
} memif_queue_details_t;

typedef struct
{
  uint8_t index;
  void *addr;    /* where it is mapped in this process */
  uint32_t size; /* bytes */
  int fd;        /* stays the library's; -1: of the other side's memory none is kept open */
  uint8_t is_external;
} memif_region_details_t;

typedef struct
{
  uint8_t *if_name;          /* strings are terminated, empty if unknown */
  uint8_t *inst_name;        /* this program's name */
  uint8_t *remote_if_name;   /* of the present link */
  uint8_t *remote_inst_name;
  uint32_t id;
  uint8_t *secret;           /* NULL: none */
  uint8_t role;              /* 0: master, 1: slave */
  uint8_t mode;              /* memif_interface_mode_t */
  uint8_t *socket_filename;
  uint8_t regions_num;
  memif_region_details_t *regions;
  uint8_t rx_queues_num;     /* of the present link */
  uint8_t tx_queues_num;
  memif_queue_details_t *rx_queues;
  memif_queue_details_t *tx_queues;
  uint8_t *error;            /* why the last link ended, or could not be */
  uint8_t link_up_down;      /* 1: up */
} memif_details_t;

/* --- About the library ------------------------------------------------------------------------------------------- */

/* Of the protocol: major number in the upper byte. */
uint16_t memif_get_version (void);

/* Any number, from any thread. Not to be freed or written to. If the code is what this thread's last control call
 * returned, the text goes on with what failed, on which path, and why; it is good until the thread's next call. */
char *memif_strerror (int err_code);

/* --- Instances ----------------------------------------------------------------------------------------------------- */

/* Sets the global instance up, with a timer by which slaves that have no link try again every two seconds. app_name may
 * be NULL (MEMIF_DEFAULT_APP_NAME). Without a descriptor callback the library polls, in memif_poll_event. Without
 * allocation functions it uses malloc, realloc and free.
 * ALREADY: that is done. NOMEM, CB_FDUPDATE, PROC_FILE_LIMIT, ... */
int memif_init (memif_control_fd_update_t *on_control_fd_update, char *app_name, memif_alloc_t *memif_alloc,
		memif_realloc_t *memif_realloc, memif_free_t *memif_free);

/* Ends the global instance, with all interfaces and sockets that are left. INVAL_ARG: there is none. */
int memif_cleanup (void);

/* The same for an instance of its own. Stores the handle in *pt_main; cleanup sets it to NULL. */
int memif_per_thread_init (memif_per_thread_main_handle_t *pt_main, void *private_ctx,
			   memif_control_fd_update_t *on_control_fd_update, char *app_name,
			   memif_alloc_t *memif_alloc, memif_realloc_t *memif_realloc, memif_free_t *memif_free);
int memif_per_thread_cleanup (memif_per_thread_main_handle_t *pt_main);

/* When slaves that have no link try again; counts from now. Zero: never by themselves. it_value 0: one it_interval. */
int memif_set_connection_request_timer (struct itimerspec timer);
int memif_per_thread_set_connection_request_timer (memif_per_thread_main_handle_t pt_main, struct itimerspec timer);

/* --- Sockets ------------------------------------------------------------------------------------------------------- */

/* Names a UNIX socket: a path of at most 107 bytes, also as "unix:path"; "@name" or "abstract:name" for an abstract one,
 * with ",netns_name=" and a network namespace's name or path behind it in that one. Nothing is bound or connected yet.
 * INVAL_ARG; ALREADY: the instance has a socket of that name. */
int memif_create_socket (memif_socket_handle_t *sock, const char *filename, void *private_ctx);
int memif_per_thread_create_socket (memif_per_thread_main_handle_t pt_main, memif_socket_handle_t *sock,
				    const char *filename, void *private_ctx);

/* Sets *sock to NULL. INVAL_ARG: NULL, or interfaces use it. */
int memif_delete_socket (memif_socket_handle_t *sock);

/* NULL for a NULL handle. The string lives as long as the socket. */
const char *memif_get_socket_filename (memif_socket_handle_t sock);

/* --- Events -------------------------------------------------------------------------------------------------------- */

/* With a descriptor callback: what it was told of has happened. An event that comes late or for nothing, or for a
 * descriptor that is not the library's, does no harm. INVAL_ARG: no instance. BAD_FD: a negative number. CB_FDUPDATE. */
int memif_control_fd_handler (int fd, uint8_t events);
int memif_per_thread_control_fd_handler (memif_per_thread_main_handle_t pt_main, int fd, uint8_t events);

/* Without: waits up to `timeout` milliseconds (-1: no limit), handles what is ready, and returns. A signal ends the
 * wait as the time-out does. POLL_CANCEL: it was cancelled. A link that ends is no error.
 * INVAL_ARG: no instance, or there is a callback. */
int memif_poll_event (int timeout);
int memif_per_thread_poll_event (memif_per_thread_main_handle_t pt_main, int timeout);

/* Makes the present or the next memif_poll_event return POLL_CANCEL, once. From any thread, and in signal handlers.
 * Does nothing if there is a callback. INVAL_ARG: no instance. */
int memif_cancel_poll_event (void);
int memif_per_thread_cancel_poll_event (memif_per_thread_main_handle_t pt_main);

/* --- Interfaces ---------------------------------------------------------------------------------------------------- */

/* *conn must be NULL, and has the handle when a callback sees it. A master listens from now on. A slave tries to connect
 * at once; that nobody is there is no error. Any callback may be NULL; without on_interrupt the program polls
 * memif_get_queue_efd, or the queues.
 * CONN: *conn is not NULL. INVAL_ARG, MAX_RING, NOMEM. ID: that id is taken. For a master also FILE_NOT_SOCK, NO_FILE,
 * ACCES, SYSCALL (with errno EADDRINUSE: somebody else listens there). */
int memif_create (memif_conn_handle_t *conn, memif_conn_args_t *args,
		  memif_connection_update_t *on_connect,
		  memif_connection_update_t *on_disconnect,
		  memif_interrupt_t *on_interrupt, void *private_ctx);

/* A slave tries to connect now. ALRCONN; CONNREFUSED: nobody is there. Success: it has begun, on_connect tells the
 * rest. INVAL_ARG: a master. */
int memif_request_connection (memif_conn_handle_t conn);

/* Ends the link, calling on_disconnect if there is one, frees the interface, and sets *conn to NULL. */
int memif_delete (memif_conn_handle_t *conn);

/* Fills *md; what it points to is put into buf. NOBUF_DET: too little room; what does not fit is NULL, and the number
 * beside it 0. Descriptors and addresses are valid while the link is up. */
int memif_get_details (memif_conn_handle_t conn, memif_details_t *md, char *buf, ssize_t buflen);

/* The descriptor that is readable when receive queue `qid` has something: of the present link, the library's. Not to be
 * read: memif_rx_burst does. QID, DISCONNECTED. */
int memif_get_queue_efd (memif_conn_handle_t conn, uint16_t qid, int *fd);

/* Interrupt at first. Takes effect at once, waiting for a data call on the queue, and outlasts the link. The event
 * descriptor is readable afterwards if something is waiting. QID, INVAL_ARG. */
int memif_set_rx_mode (memif_conn_handle_t conn, memif_rx_mode_t rx_mode, uint16_t qid);

/* --- Packets -------------------------------------------------------------------------------------------------------
 * All of these: NOCONN, INVAL_ARG (a NULL pointer), QID, DISCONNECTED. They never wait. */

/* Takes received packets: up to `count` buffers, *rx of them. They are the program's until memif_refill_queue.
 * NOBUF: the array is full and more is waiting; the event descriptor stays readable. Otherwise the event is consumed.
 * A packet of more buffers than the array has comes in pieces. */
int memif_rx_burst (memif_conn_handle_t conn, uint16_t qid, memif_buffer_t *bufs, uint16_t count, uint16_t *rx);

/* Gives the oldest `count` received buffers back, (uint16_t) -1 for all. A slave has posted nothing when a link comes
 * up: it must do this in on_connect. `headroom` (slave): bytes left free in front of the packets to come.
 * INVAL_ARG: headroom beyond the buffer. */
int memif_refill_queue (memif_conn_handle_t conn, uint16_t qid, uint16_t count, uint16_t headroom);

/* Shows free buffers for `count` packets of `size` bytes. *count_out counts buffers: a packet longer than a buffer is a
 * chain of them, with MEMIF_BUFFER_FLAG_NEXT on all but the last. `len` is what the packet needs of each. They are to be
 * sent in this order. Size 0: a whole buffer for each packet. The array has room for what the packets are in buffers of
 * this interface's buffer_size; if a slave posts smaller ones, what needs more room is not shown.
 * NOBUF_RING: fewer packets than asked for. */
int memif_buffer_alloc (memif_conn_handle_t conn, uint16_t qid, memif_buffer_t *bufs, uint16_t count,
			uint16_t *count_out, uint16_t size);

/* Sends allocated buffers, beginning with the oldest. `len` and NEXT may have been changed, and `data` moved forward
 * (slave). Buffers that are left out are given up, and those after them copied to where they were; so are those after a
 * packet of no bytes, which counts as sent. More than is allocated: as many as are.
 * If the last one has NEXT, its packet is held, and goes out when a later call has sent its end. If the link goes before
 * that, the next call on the queue is DISCONNECTED, though there may be another link by then.
 * INVAL_ARG: bufs[*tx] is out of order, or does not lie within its buffer; those before it are sent, it and those
 * after it are still allocated. If the packet that is held would leave no descriptor for its end, it is given up, and all
 * that was allocated with it. */
int memif_tx_burst (memif_conn_handle_t conn, uint16_t qid, memif_buffer_t *bufs, uint16_t count, uint16_t *tx);

/* --- Packets without copies (slave only, else INVAL_ARG) ----------------------------------------------------------- */

/* Received buffers become the next allocated ones of transmit queue `qid`; what was there takes their places and is
 * posted with the next memif_refill_queue. So do buffers that are allocated in another transmit queue. Updates
 * desc_index and queue. NOBUF_RING: only *count_out had room. */
int memif_buffer_enq_tx (memif_conn_handle_t conn, uint16_t qid, memif_buffer_t *bufs, uint16_t count,
			 uint16_t *count_out);

/* Two buffers, each received or allocated, change places in their rings. Updates both structures. */
int memif_buffer_requeue (memif_conn_handle_t conn, memif_buffer_t *buf_a, memif_buffer_t *buf_b);

/* `buf` and what was allocated after it in transmit queue `qid` is free again. Master or slave. INVAL_ARG: it was not
 * allocated. */
int memif_set_next_free_buffer (memif_conn_handle_t conn, uint16_t qid, memif_buffer_t *buf);

/* Callbacks by which the program maps regions itself, for interfaces created from now on; each may be NULL.
 * ar (slave): provides memory of `size` bytes for the packet buffers of a new link, mapped at *addr, and its file.
 * gr (master): where the program has mapped a peer's region; NULL refuses the link. Not for the one with the rings.
 * dr: nothing uses a region any more; fd is the program's to close. Called by the thread that used it last.
 * go (slave): where in the region the next posted or allocated buffer begins; called on the queue's thread. */
void memif_register_external_region (memif_add_external_region_t *ar, memif_get_external_region_addr_t *gr,
				     memif_del_external_region_t *dr, memif_get_external_buffer_offset_t *go);
void memif_per_thread_register_external_region (memif_per_thread_main_handle_t pt_main,
						memif_add_external_region_t *ar,
						memif_get_external_region_addr_t *gr,
						memif_del_external_region_t *dr,
						memif_get_external_buffer_offset_t *go);

#ifdef __cplusplus
}
#endif

#endif /* _LIBMEMIF_3_H_ */
