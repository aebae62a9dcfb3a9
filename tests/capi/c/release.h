/* The binary interface of one release of libmemif, RELEASE as YYMM of the VPP that it came with: 1804, 1810, 1904,
 * 1908, 2001, 2106 or 2202. Each stands for those after it, up to the next. Sizes and offsets are of x86-64 and
 * aarch64. */
#ifndef RELEASE_H
#define RELEASE_H
#include <stddef.h>

#define HOLDS(condition) extern char holds[(condition) ? 1 : -1]
#define SIZE(type, bytes) HOLDS (sizeof (type) == (bytes))
#define AT(type, member, offset) HOLDS (offsetof (type, member) == (offset))

/* --- Structures --- */

SIZE (memif_buffer_t, 32);
AT (memif_buffer_t, desc_index, 0);
#if RELEASE < 2106
AT (memif_buffer_t, ring, 8);
#else
AT (memif_buffer_t, queue, 8);
#endif
AT (memif_buffer_t, len, 16);
AT (memif_buffer_t, flags, 20);
AT (memif_buffer_t, data, 24);

SIZE (memif_conn_args_t, 80);
#if RELEASE < 1908
AT (memif_conn_args_t, socket_filename, 0);
#else
AT (memif_conn_args_t, socket, 0);
#endif
AT (memif_conn_args_t, secret, 8);
AT (memif_conn_args_t, num_s2m_rings, 32);
AT (memif_conn_args_t, num_m2s_rings, 33);
AT (memif_conn_args_t, buffer_size, 34);
AT (memif_conn_args_t, log2_ring_size, 36);
AT (memif_conn_args_t, is_master, 37);
AT (memif_conn_args_t, interface_id, 40);
AT (memif_conn_args_t, interface_name, 44);

SIZE (memif_queue_details_t, 16);
#if RELEASE < 1810
AT (memif_queue_details_t, qid, 0);
#else
AT (memif_queue_details_t, region, 0);
AT (memif_queue_details_t, qid, RELEASE < 2202 ? 1 : 2);
#endif
AT (memif_queue_details_t, ring_size, 4);
AT (memif_queue_details_t, flags, 8);
AT (memif_queue_details_t, head, 10);
AT (memif_queue_details_t, tail, 12);
AT (memif_queue_details_t, buffer_size, 14);

AT (memif_details_t, if_name, 0);
AT (memif_details_t, inst_name, 8);
AT (memif_details_t, remote_if_name, 16);
AT (memif_details_t, remote_inst_name, 24);
AT (memif_details_t, id, 32);
AT (memif_details_t, secret, 40);
AT (memif_details_t, role, 48);
AT (memif_details_t, mode, 49);
#if RELEASE < 2202
AT (memif_details_t, socket_filename, 56);
#else
AT (memif_details_t, socket_path, 56);
#endif
#if RELEASE < 1810
SIZE (memif_details_t, 96);
AT (memif_details_t, rx_queues_num, 64);
AT (memif_details_t, tx_queues_num, 65);
AT (memif_details_t, rx_queues, 72);
AT (memif_details_t, tx_queues, 80);
AT (memif_details_t, link_up_down, 88);
#else
SIZE (memif_details_t, 120);
AT (memif_details_t, regions_num, 64);
AT (memif_details_t, regions, 72);
AT (memif_details_t, rx_queues_num, 80);
AT (memif_details_t, tx_queues_num, 81);
AT (memif_details_t, rx_queues, 88);
AT (memif_details_t, tx_queues, 96);
AT (memif_details_t, error, 104);
AT (memif_details_t, link_up_down, 112);

SIZE (memif_region_details_t, 32);
AT (memif_region_details_t, index, 0);
AT (memif_region_details_t, addr, 8);
AT (memif_region_details_t, size, 16);
AT (memif_region_details_t, fd, 20);
AT (memif_region_details_t, is_external, 24);
#endif

#if RELEASE >= 2202
SIZE (memif_socket_args_t, 208);
AT (memif_socket_args_t, path, 0);
AT (memif_socket_args_t, app_name, 108);
AT (memif_socket_args_t, connection_request_timer, 144);
AT (memif_socket_args_t, on_control_fd_update, 176);
AT (memif_socket_args_t, alloc, 184);
AT (memif_socket_args_t, realloc, 192);
AT (memif_socket_args_t, free, 200);

SIZE (memif_fd_event_t, 16);
AT (memif_fd_event_t, fd, 0);
AT (memif_fd_event_t, type, 4);
AT (memif_fd_event_t, private_ctx, 8);
#endif

/* --- Numbers --- */

HOLDS (MEMIF_FD_EVENT_READ == 1 && MEMIF_FD_EVENT_WRITE == 2 && MEMIF_FD_EVENT_ERROR == 4);
HOLDS (MEMIF_FD_EVENT_DEL == 8 && MEMIF_FD_EVENT_MOD == 16 && MEMIF_HAVE_CANCEL_POLL_EVENT == 1);
HOLDS (MEMIF_INTERFACE_MODE_ETHERNET == 0 && MEMIF_INTERFACE_MODE_IP == 1 && MEMIF_INTERFACE_MODE_PUNT_INJECT == 2);
HOLDS (MEMIF_RX_MODE_INTERRUPT == 0 && MEMIF_RX_MODE_POLLING == 1);
HOLDS (MEMIF_BUFFER_FLAG_NEXT == 1 && MEMIF_QUEUE_FLAG_POLLING == 1);
HOLDS (sizeof MEMIF_DEFAULT_APP_NAME == sizeof "libmemif-app");
#if RELEASE < 2106
HOLDS (MEMIF_BUFFER_FLAG_RX == 2);
#endif

/* Each code is its place in this list. */
static const int codes[]
    = { MEMIF_ERR_SUCCESS,       MEMIF_ERR_SYSCALL,
#if RELEASE >= 1810
        MEMIF_ERR_CONNREFUSED,
#endif
        MEMIF_ERR_ACCES,         MEMIF_ERR_NO_FILE,     MEMIF_ERR_FILE_LIMIT,  MEMIF_ERR_PROC_FILE_LIMIT,
        MEMIF_ERR_ALREADY,       MEMIF_ERR_AGAIN,       MEMIF_ERR_BAD_FD,      MEMIF_ERR_NOMEM,
        MEMIF_ERR_INVAL_ARG,     MEMIF_ERR_NOCONN,      MEMIF_ERR_CONN,        MEMIF_ERR_CB_FDUPDATE,
        MEMIF_ERR_FILE_NOT_SOCK, MEMIF_ERR_NO_SHMFD,    MEMIF_ERR_COOKIE,      MEMIF_ERR_NOBUF_RING,
        MEMIF_ERR_NOBUF,         MEMIF_ERR_NOBUF_DET,   MEMIF_ERR_INT_WRITE,   MEMIF_ERR_MFMSG,
        MEMIF_ERR_QID,           MEMIF_ERR_PROTO,       MEMIF_ERR_ID,          MEMIF_ERR_ACCSLAVE,
        MEMIF_ERR_ALRCONN,       MEMIF_ERR_MODE,        MEMIF_ERR_SECRET,      MEMIF_ERR_NOSECRET,
        MEMIF_ERR_MAXREG,        MEMIF_ERR_MAXRING,     MEMIF_ERR_NO_INTFD,    MEMIF_ERR_DISCONNECT,
        MEMIF_ERR_DISCONNECTED,  MEMIF_ERR_UNKNOWN_MSG, MEMIF_ERR_POLL_CANCEL, MEMIF_ERR_MAX_RING,
        MEMIF_ERR_PRIVHDR };
HOLDS (sizeof codes / sizeof codes[0] == (RELEASE < 1810 ? 39 : 40));

/* --- Functions: declared again, a compiler objects to any other type --- */

#if RELEASE >= 1810
memif_realloc_t a_realloc;
void *a_realloc (void *, size_t);
memif_add_external_region_t an_add;
int an_add (void **, uint32_t, int *, void *);
memif_get_external_region_addr_t a_get;
void *a_get (uint32_t, int, void *);
memif_del_external_region_t a_del;
int a_del (void *, uint32_t, int, void *);
memif_get_external_buffer_offset_t an_offset;
uint32_t an_offset (void *);
#endif
memif_alloc_t an_alloc;
void *an_alloc (size_t);
memif_free_t a_free;
void a_free (void *);
memif_connection_update_t a_connection_update;
int a_connection_update (memif_conn_handle_t, void *);
memif_control_fd_update_t an_fd_update;
#if RELEASE < 1908
int an_fd_update (int, uint8_t);
#elif RELEASE < 2202
int an_fd_update (int, uint8_t, void *);
#else
int an_fd_update (memif_fd_event_t, void *);
#endif
#if RELEASE < 2202
typedef memif_interrupt_t interrupt_t;
#else
typedef memif_on_interrupt_t interrupt_t;
#endif
interrupt_t an_interrupt;
int an_interrupt (memif_conn_handle_t, void *, uint16_t);

uint16_t memif_get_version (void);
char *memif_strerror (int);
int memif_create (memif_conn_handle_t *, memif_conn_args_t *, memif_connection_update_t *, memif_connection_update_t *,
                  interrupt_t *, void *);
int memif_delete (memif_conn_handle_t *);
int memif_get_details (memif_conn_handle_t, memif_details_t *, char *, ssize_t);
int memif_get_queue_efd (memif_conn_handle_t, uint16_t, int *);
int memif_set_rx_mode (memif_conn_handle_t, memif_rx_mode_t, uint16_t);
int memif_rx_burst (memif_conn_handle_t, uint16_t, memif_buffer_t *, uint16_t, uint16_t *);
int memif_refill_queue (memif_conn_handle_t, uint16_t, uint16_t, uint16_t);
int memif_buffer_alloc (memif_conn_handle_t, uint16_t, memif_buffer_t *, uint16_t, uint16_t *, uint16_t);
int memif_buffer_enq_tx (memif_conn_handle_t, uint16_t, memif_buffer_t *, uint16_t, uint16_t *);
int memif_tx_burst (memif_conn_handle_t, uint16_t, memif_buffer_t *, uint16_t, uint16_t *);

#if RELEASE < 1810
int memif_init (memif_control_fd_update_t *, char *, memif_alloc_t *, memif_free_t *);
#elif RELEASE < 2202
int memif_init (memif_control_fd_update_t *, char *, memif_alloc_t *, memif_realloc_t *, memif_free_t *);
void memif_register_external_region (memif_add_external_region_t *, memif_get_external_region_addr_t *,
                                     memif_del_external_region_t *, memif_get_external_buffer_offset_t *);
#endif
#if RELEASE < 2202
int memif_cleanup (void);
int memif_control_fd_handler (int, uint8_t);
int memif_poll_event (int);
int memif_cancel_poll_event (void);
#endif
#if RELEASE >= 1904
int memif_request_connection (memif_conn_handle_t);
#endif
#if RELEASE >= 1904 && RELEASE < 2202
int memif_set_connection_request_timer (struct itimerspec);
#endif
#if RELEASE >= 1908
int memif_delete_socket (memif_socket_handle_t *);
#endif
#if RELEASE >= 1908 && RELEASE < 2202
int memif_create_socket (memif_socket_handle_t *, const char *, void *);
#endif
#if RELEASE >= 2001
const char *memif_get_socket_filename (memif_socket_handle_t);
#endif
#if RELEASE >= 2001 && RELEASE < 2202
int memif_per_thread_init (memif_per_thread_main_handle_t *, void *, memif_control_fd_update_t *, char *,
                           memif_alloc_t *, memif_realloc_t *, memif_free_t *);
int memif_per_thread_cleanup (memif_per_thread_main_handle_t *);
int memif_per_thread_control_fd_handler (memif_per_thread_main_handle_t, int, uint8_t);
int memif_per_thread_poll_event (memif_per_thread_main_handle_t, int);
int memif_per_thread_cancel_poll_event (memif_per_thread_main_handle_t);
int memif_per_thread_set_connection_request_timer (memif_per_thread_main_handle_t, struct itimerspec);
int memif_per_thread_create_socket (memif_per_thread_main_handle_t, memif_socket_handle_t *, const char *, void *);
void memif_per_thread_register_external_region (memif_per_thread_main_handle_t, memif_add_external_region_t *,
                                                memif_get_external_region_addr_t *, memif_del_external_region_t *,
                                                memif_get_external_buffer_offset_t *);
#endif
#if RELEASE >= 2106
int memif_buffer_requeue (memif_conn_handle_t, memif_buffer_t *, memif_buffer_t *);
int memif_set_next_free_buffer (memif_conn_handle_t, uint16_t, memif_buffer_t *);
#endif
#if RELEASE >= 2202
const char *memif_get_version_str (void);
int memif_create_socket (memif_socket_handle_t *, memif_socket_args_t *, void *);
int memif_control_fd_handler (void *, memif_fd_event_type_t);
int memif_poll_event (memif_socket_handle_t, int);
int memif_cancel_poll_event (memif_socket_handle_t);
memif_socket_handle_t memif_get_socket_handle (memif_conn_handle_t);
const char *memif_get_socket_path (memif_socket_handle_t);
int memif_get_listener_fd (memif_socket_handle_t);
int memif_set_listener_fd (memif_socket_handle_t, int);
int memif_set_connection_request_timer (memif_socket_handle_t, struct itimerspec);
void memif_register_external_region (memif_socket_handle_t, memif_add_external_region_t *,
                                     memif_get_external_region_addr_t *, memif_del_external_region_t *,
                                     memif_get_external_buffer_offset_t *);
#endif

#endif
