/* The data path of the responders of generation 2: what comes in on a queue is answered on the queue of that number. */
#ifndef BURST_H
#define BURST_H

#include <libmemif.h>

#include "icmp.h"

/* Takes what is waiting, answers what asks for an answer, and gives the buffers back. Returns a memif_err_t; *answered
 * counts on. */
int answer_burst (memif_conn_handle_t conn, uint16_t qid, const icmp_host_t *host, unsigned long *answered);

#endif
