// Static probes for bpftrace, perf and SystemTap: docs/probes.md has their names and arguments. They are in the library
// (src/base/probes.cpp); bursts, which are in the program, only look whether somebody watches.
#pragma once

#include <cstddef>
#include <cstdint>

// How many watch each probe: the system adds to these as tracers come and go, and finds them by their names.
extern "C" {
extern volatile unsigned short memif_rx_burst_semaphore;
extern volatile unsigned short memif_tx_burst_semaphore;
}

namespace memif::detail {

inline bool rx_burst_is_watched() noexcept { return memif_rx_burst_semaphore != 0; }
inline bool tx_burst_is_watched() noexcept { return memif_tx_burst_semaphore != 0; }

// `interface`: an address that stands for it in all of its probes.
void probe_rx_burst(const void* interface, unsigned queue, std::size_t packets, std::uint64_t bytes) noexcept;
void probe_tx_burst(const void* interface, unsigned queue, std::size_t packets, std::uint64_t bytes) noexcept;
void probe_rx_drop(const void* interface, unsigned queue, std::size_t buffers, int why) noexcept;
void probe_tx_drop(const void* interface, unsigned queue, std::size_t buffers, int why) noexcept;
void probe_connect(const void* interface, const char* name, std::uint32_t id, int peer) noexcept;
void probe_disconnect(const void* interface, const char* name, const char* reason, bool was_up) noexcept;

}  // namespace memif::detail
