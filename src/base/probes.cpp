#include <memif/detail/probes.hpp>

#if defined(MEMIF_USDT)
#define _SDT_HAS_SEMAPHORES 1  // NOLINT(bugprone-reserved-identifier): what sys/sdt.h asks for
#include <sys/sdt.h>
#define MEMIF_PROBE(name, a, b, c, d) STAP_PROBE4(memif, name, a, b, c, d)
#else
#define MEMIF_PROBE(name, a, b, c, d) static_cast<void>(sizeof(a) + sizeof(b) + sizeof(c) + sizeof(d))
#endif

extern "C" {
[[gnu::section(".probes")]] volatile unsigned short memif_rx_burst_semaphore = 0;
[[gnu::section(".probes")]] volatile unsigned short memif_tx_burst_semaphore = 0;
[[gnu::section(".probes")]] volatile unsigned short memif_rx_drop_semaphore = 0;
[[gnu::section(".probes")]] volatile unsigned short memif_tx_drop_semaphore = 0;
[[gnu::section(".probes")]] volatile unsigned short memif_connect_semaphore = 0;
[[gnu::section(".probes")]] volatile unsigned short memif_disconnect_semaphore = 0;
}

namespace memif::detail {

void probe_rx_burst(const void* interface, unsigned queue, std::size_t packets, std::uint64_t bytes) noexcept {
  MEMIF_PROBE(rx_burst, interface, queue, packets, bytes);
}
void probe_tx_burst(const void* interface, unsigned queue, std::size_t packets, std::uint64_t bytes) noexcept {
  MEMIF_PROBE(tx_burst, interface, queue, packets, bytes);
}
void probe_rx_drop(const void* interface, unsigned queue, std::size_t buffers, int why) noexcept {
  MEMIF_PROBE(rx_drop, interface, queue, buffers, why);
}
void probe_tx_drop(const void* interface, unsigned queue, std::size_t buffers, int why) noexcept {
  MEMIF_PROBE(tx_drop, interface, queue, buffers, why);
}
void probe_connect(const void* interface, const char* name, std::uint32_t id, int peer) noexcept {
  MEMIF_PROBE(connect, interface, name, id, peer);
}
void probe_disconnect(const void* interface, const char* name, const char* reason, bool was_up) noexcept {
  MEMIF_PROBE(disconnect, interface, name, reason, was_up ? 1 : 0);
}

}  // namespace memif::detail
