/* What memif.h says of docs/protocol.md's layouts. Included after it. */
#include <stddef.h>

#define HOLDS(condition) extern char holds[(condition) ? 1 : -1]
#define SIZE(type, bytes) HOLDS (sizeof (type) == (bytes))
#define AT(type, member, offset) HOLDS (offsetof (type, member) == (offset))

HOLDS (MEMIF_COOKIE == 0x3E31F20 && MEMIF_VERSION == 0x0200);
HOLDS (MEMIF_VERSION_MAJOR == 2 && MEMIF_VERSION_MINOR == 0);
HOLDS (MEMIF_MSG_TYPE_ACK == 1 && MEMIF_MSG_TYPE_HELLO == 2 && MEMIF_MSG_TYPE_INIT == 3);
HOLDS (MEMIF_MSG_TYPE_ADD_REGION == 4 && MEMIF_MSG_TYPE_ADD_RING == 5 && MEMIF_MSG_TYPE_CONNECT == 6);
HOLDS (MEMIF_MSG_TYPE_CONNECTED == 7 && MEMIF_MSG_TYPE_DISCONNECT == 8 && MEMIF_MSG_TYPE_NONE == 0);
HOLDS (MEMIF_RING_S2M == 0 && MEMIF_RING_M2S == 1 && MEMIF_INTERFACE_MODE_PUNT_INJECT == 2);
HOLDS (MEMIF_MSG_ADD_RING_FLAG_S2M == 1 && MEMIF_DESC_FLAG_NEXT == 1 && MEMIF_RING_FLAG_MASK_INT == 1);

/* Messages begin with two bytes of type: offsets in the page are two more than those of the structures. */
SIZE (memif_msg_t, 128);
AT (memif_msg_t, hello, 2);
AT (memif_msg_t, disconnect, 2);
SIZE (memif_msg_hello_t, 45 - 2);
AT (memif_msg_hello_t, min_version, 34 - 2);
AT (memif_msg_hello_t, max_version, 36 - 2);
AT (memif_msg_hello_t, max_region, 38 - 2);
AT (memif_msg_hello_t, max_m2s_ring, 40 - 2);
AT (memif_msg_hello_t, max_s2m_ring, 42 - 2);
AT (memif_msg_hello_t, max_log2_ring_size, 44 - 2);
SIZE (memif_msg_init_t, 65 - 2);
AT (memif_msg_init_t, id, 4 - 2);
AT (memif_msg_init_t, secret, 9 - 2);
AT (memif_msg_init_t, name, 33 - 2);
SIZE (memif_msg_add_region_t, 12 - 2);
AT (memif_msg_add_region_t, size, 4 - 2);
SIZE (memif_msg_add_ring_t, 15 - 2);
AT (memif_msg_add_ring_t, index, 4 - 2);
AT (memif_msg_add_ring_t, region, 6 - 2);
AT (memif_msg_add_ring_t, offset, 8 - 2);
AT (memif_msg_add_ring_t, log2_ring_size, 12 - 2);
AT (memif_msg_add_ring_t, private_hdr_size, 13 - 2);
SIZE (memif_msg_connect_t, 34 - 2);
SIZE (memif_msg_connected_t, 34 - 2);
SIZE (memif_msg_disconnect_t, 102 - 2);
AT (memif_msg_disconnect_t, string, 6 - 2);

SIZE (memif_desc_t, 16);
AT (memif_desc_t, region, 2);
AT (memif_desc_t, length, 4);
AT (memif_desc_t, offset, 8);
AT (memif_desc_t, metadata, 12);
SIZE (memif_ring_t, 128);
AT (memif_ring_t, cookie, 0);
AT (memif_ring_t, flags, 4);
AT (memif_ring_t, head, 6);
AT (memif_ring_t, tail, 64);
AT (memif_ring_t, desc, 128);
