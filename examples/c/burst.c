#include "burst.h"

#include <string.h>

enum
{
  burst = 64
};

/* Copies the packet of one buffer into a buffer to be sent, and answers it there. */
static int
answer_one (memif_conn_handle_t conn, uint16_t qid, const icmp_host_t *host, const memif_buffer_t *in)
{
  uint8_t scratch[2048];
  if ((in->flags & MEMIF_BUFFER_FLAG_NEXT) != 0 || in->len > sizeof scratch)
    return 0;
  memcpy (scratch, in->data, in->len);
  const size_t length = icmp_answer (host, scratch, in->len);
  if (length == 0)
    return 0;
  memif_buffer_t out;
  uint16_t n = 0, sent = 0;
  /* A full ring: the answer is lost, as on any wire. */
  if (memif_buffer_alloc (conn, qid, &out, 1, &n, (uint16_t) length) != MEMIF_ERR_SUCCESS)
    return 0;
  memcpy (out.data, scratch, length);
  return memif_tx_burst (conn, qid, &out, 1, &sent) == MEMIF_ERR_SUCCESS ? sent : 0;
}

int
answer_burst (memif_conn_handle_t conn, uint16_t qid, const icmp_host_t *host, unsigned long *answered)
{
  memif_buffer_t in[burst];
  uint16_t n = 0;
  int err;
  do
    {
      err = memif_rx_burst (conn, qid, in, burst, &n);
      if (err != MEMIF_ERR_SUCCESS && err != MEMIF_ERR_NOBUF)
        return err;
      for (uint16_t i = 0; i < n; i++)
        *answered += (unsigned long) answer_one (conn, qid, host, &in[i]);
      const int refilled = memif_refill_queue (conn, qid, n, 0);
      if (refilled != MEMIF_ERR_SUCCESS)
        return refilled;
    }
  while (err == MEMIF_ERR_NOBUF);
  return MEMIF_ERR_SUCCESS;
}
