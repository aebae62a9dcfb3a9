#include "icmp.h"

#include <arpa/inet.h>
#include <string.h>

enum
{
  ethernet_size = 14,
  arp_size = 28,
  ip_size = 20,
  icmp_size = 8,
  type_ip = 0x0800,
  type_arp = 0x0806
};

static unsigned
get16 (const uint8_t *from)
{
  return (unsigned) from[0] << 8 | from[1];
}

static void
put16 (uint8_t *to, unsigned value)
{
  to[0] = (uint8_t) (value >> 8);
  to[1] = (uint8_t) value;
}

/* The Internet checksum (RFC 1071). */
static unsigned
checksum (const uint8_t *data, size_t length)
{
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2)
    sum += get16 (data + i);
  if (length % 2 != 0)
    sum += (uint32_t) data[length - 1] << 8;
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static void
hardware_address (const icmp_host_t *host, uint8_t *to)
{
  to[0] = 2; /* locally administered */
  to[1] = 0xfe;
  memcpy (to + 2, host->address, 4);
}

int
icmp_host (icmp_host_t *host, const char *text)
{
  return inet_pton (AF_INET, text, host->address) == 1 ? 0 : -1;
}

static int
answer_arp (const icmp_host_t *host, uint8_t *arp, size_t length)
{
  static const uint8_t ethernet_ip_request[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
  if (length < arp_size || memcmp (arp, ethernet_ip_request, sizeof ethernet_ip_request) != 0)
    return 0;
  uint8_t *sender = arp + 8, *target = arp + 18;
  if (memcmp (target + 6, host->address, 4) != 0)
    return 0;
  put16 (arp + 6, 2);
  memcpy (target, sender, 10);
  hardware_address (host, sender);
  memcpy (sender + 6, host->address, 4);
  return 1;
}

static int
answer_echo (const icmp_host_t *host, uint8_t *ip, size_t length)
{
  if (length < ip_size || ip[0] >> 4 != 4)
    return 0;
  const size_t header = (size_t) (ip[0] & 15) * 4, total = get16 (ip + 2);
  if (header < ip_size || total > length || total < header + icmp_size || ip[9] != 1)
    return 0;
  if ((get16 (ip + 6) & 0x3fff) != 0 || memcmp (ip + 16, host->address, 4) != 0)
    return 0; /* a fragment, or for somebody else */
  uint8_t *icmp = ip + header;
  if (icmp[0] != 8 || icmp[1] != 0 || checksum (ip, header) != 0 || checksum (icmp, total - header) != 0)
    return 0;
  memcpy (ip + 16, ip + 12, 4);
  memcpy (ip + 12, host->address, 4);
  ip[8] = 64;
  put16 (ip + 10, 0);
  put16 (ip + 10, checksum (ip, header));
  icmp[0] = 0;
  put16 (icmp + 2, 0);
  put16 (icmp + 2, checksum (icmp, total - header));
  return 1;
}

size_t
icmp_answer (const icmp_host_t *host, void *packet, size_t length)
{
  uint8_t *frame = packet;
  if (length < ethernet_size)
    return 0;
  uint8_t *payload = frame + ethernet_size;
  const size_t left = length - ethernet_size;
  const unsigned type = get16 (frame + 12);
  if (!(type == type_arp && answer_arp (host, payload, left))
      && !(type == type_ip && answer_echo (host, payload, left)))
    return 0;
  memcpy (frame, frame + 6, 6);
  hardware_address (host, frame + 6);
  return length;
}
