/* The memif protocol, version 2.0, as C structures: the messages on the socket, and the rings in shared memory.
 * Programs that use libmemif need none of this, but some include it for the version or the modes.
 *
 * Fields are little-endian. Names and texts are padded with NULs and may fill their field. */
#ifndef _MEMIF_H_
#define _MEMIF_H_

#include <stdint.h>

#ifndef MEMIF_CACHELINE_SIZE
#define MEMIF_CACHELINE_SIZE 64
#endif

#define MEMIF_COOKIE 0x3E31F20 /* of every ring */
#define MEMIF_VERSION_MAJOR 2
#define MEMIF_VERSION_MINOR 0
#define MEMIF_VERSION ((MEMIF_VERSION_MAJOR << 8) | MEMIF_VERSION_MINOR)

/* Before what strict C lacks: unions without a name, arrays of nothing. */
#ifdef __GNUC__
#define _MEMIF_EXTENSION __extension__
#else
#define _MEMIF_EXTENSION
#endif

typedef enum memif_msg_type
{
  MEMIF_MSG_TYPE_NONE = 0,
  MEMIF_MSG_TYPE_ACK = 1,
  MEMIF_MSG_TYPE_HELLO = 2,
  MEMIF_MSG_TYPE_INIT = 3,
  MEMIF_MSG_TYPE_ADD_REGION = 4,
  MEMIF_MSG_TYPE_ADD_RING = 5,
  MEMIF_MSG_TYPE_CONNECT = 6,
  MEMIF_MSG_TYPE_CONNECTED = 7,
  MEMIF_MSG_TYPE_DISCONNECT = 8
} memif_msg_type_t;

/* Which side transmits. */
typedef enum
{
  MEMIF_RING_S2M = 0, /* the slave */
  MEMIF_RING_M2S = 1  /* the master */
} memif_ring_type_t;

#ifndef _MEMIF_INTERFACE_MODE_T_ /* libmemif.h has it, too */
#define _MEMIF_INTERFACE_MODE_T_
typedef enum
{
  MEMIF_INTERFACE_MODE_ETHERNET = 0,
  MEMIF_INTERFACE_MODE_IP = 1,
  MEMIF_INTERFACE_MODE_PUNT_INJECT = 2
} memif_interface_mode_t;
#endif

typedef uint16_t memif_region_index_t;
typedef uint32_t memif_region_offset_t;
typedef uint64_t memif_region_size_t;
typedef uint16_t memif_ring_index_t;
typedef uint32_t memif_interface_id_t;
typedef uint16_t memif_version_t;
typedef uint8_t memif_log2_ring_size_t;

/* --- Messages --- */

/* From the master, first. The three in the middle are the highest index of each. */
typedef struct __attribute__ ((packed))
{
  uint8_t name[32];
  memif_version_t min_version;
  memif_version_t max_version;
  memif_region_index_t max_region;
  memif_ring_index_t max_m2s_ring;
  memif_ring_index_t max_s2m_ring;
  memif_log2_ring_size_t max_log2_ring_size;
} memif_msg_hello_t;

/* The slave's answer. */
typedef struct __attribute__ ((packed))
{
  memif_version_t version;
  memif_interface_id_t id;
  memif_interface_mode_t mode : 8;
  uint8_t secret[24];
  uint8_t name[32];
} memif_msg_init_t;

/* From the slave, with the descriptor of the memory. */
typedef struct __attribute__ ((packed))
{
  memif_region_index_t index;
  memif_region_size_t size; /* bytes */
} memif_msg_add_region_t;

#define MEMIF_MSG_ADD_RING_FLAG_S2M 1

/* From the slave, with the descriptor of the eventfd. */
typedef struct __attribute__ ((packed))
{
  uint16_t flags;
  memif_ring_index_t index; /* counted from 0 each way */
  memif_region_index_t region;
  memif_region_offset_t offset; /* of the ring in its region, bytes */
  memif_log2_ring_size_t log2_ring_size;
  uint16_t private_hdr_size; /* 0 */
} memif_msg_add_ring_t;

/* From the slave, last. */
typedef struct __attribute__ ((packed))
{
  uint8_t if_name[32];
} memif_msg_connect_t;

/* The master's answer: packets flow. */
typedef struct __attribute__ ((packed))
{
  uint8_t if_name[32];
} memif_msg_connected_t;

/* From either, before it closes. */
typedef struct __attribute__ ((packed))
{
  uint32_t code;
  uint8_t string[96];
} memif_msg_disconnect_t;

/* 128 bytes, always. */
typedef struct __attribute__ ((packed, aligned (128)))
{
  memif_msg_type_t type : 16;
  _MEMIF_EXTENSION union
  {
    memif_msg_hello_t hello;
    memif_msg_init_t init;
    memif_msg_add_region_t add_region;
    memif_msg_add_ring_t add_ring;
    memif_msg_connect_t connect;
    memif_msg_connected_t connected;
    memif_msg_disconnect_t disconnect;
  };
} memif_msg_t;

/* --- Rings --- */

#define MEMIF_DESC_FLAG_NEXT 1 /* the packet goes on in the next descriptor */

typedef struct __attribute__ ((packed))
{
  uint16_t flags;
  memif_region_index_t region;
  uint32_t length; /* bytes of the packet, or of the free buffer */
  memif_region_offset_t offset;
  uint32_t metadata;
} memif_desc_t;

/* The start of a cache line inside a structure, as a member of no bytes. */
#define MEMIF_CACHELINE_ALIGN_MARK(mark) uint8_t mark[0] __attribute__ ((aligned (MEMIF_CACHELINE_SIZE)))

#define MEMIF_RING_FLAG_MASK_INT 1 /* of `flags`: the receiver wants no interrupts */

/* The slave writes cookie and head, the master tail, the receiver flags. Both count modulo 2^16. */
typedef struct
{
  _MEMIF_EXTENSION MEMIF_CACHELINE_ALIGN_MARK (cacheline0);
  uint32_t cookie;
  uint16_t flags;
  volatile uint16_t head;
  _MEMIF_EXTENSION MEMIF_CACHELINE_ALIGN_MARK (cacheline1);
  volatile uint16_t tail;
  _MEMIF_EXTENSION MEMIF_CACHELINE_ALIGN_MARK (cacheline2);
  _MEMIF_EXTENSION memif_desc_t desc[0];
} memif_ring_t;

#undef _MEMIF_EXTENSION
#endif /* _MEMIF_H_ */
