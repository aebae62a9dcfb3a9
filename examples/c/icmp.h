/* Answers to ARP requests and to ICMP echo requests, for the responders beside it. */
#ifndef ICMP_H
#define ICMP_H

#include <stddef.h>
#include <stdint.h>

/* Where the responder lives. Every host has an address of its own; the hardware address is made from it. */
typedef struct
{
  uint8_t address[4];
} icmp_host_t;

/* "192.168.1.2" into `host`; 0, or -1 if it is no address. */
int icmp_host (icmp_host_t *host, const char *text);

/* Turns the request of `length` bytes at `packet` into its answer, in place: an Ethernet frame. Returns the answer's
 * length, which is never more than the request's, or 0 if the packet needs no answer. */
size_t icmp_answer (const icmp_host_t *host, void *packet, size_t length);

#endif
