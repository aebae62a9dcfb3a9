// Links without a connection: what a client would offer, and what a server would make of it.
#pragma once

#include <bit>
#include <cstdint>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <unistd.h>
#include <utility>

#include "data/link.hpp"

namespace memif::test {

// As `config` says, with as many rings as it has queues.
inline Result<std::shared_ptr<detail::Link>> try_client_link(const InterfaceConfig& config) {
  bool fell_back = false;
  const auto log2_size = static_cast<std::uint8_t>(std::bit_width(config.ring_size) - 1);
  return detail::make_client_link(config, ::getuid(), config.tx_queues, config.rx_queues, log2_size, fell_back);
}
inline std::shared_ptr<detail::Link> client_link(const InterfaceConfig& config) {
  auto link = try_client_link(config);
  EXPECT_TRUE(link) << link.error().message;
  return link ? *link : nullptr;
}

// Its server's, not complete yet.
inline std::shared_ptr<detail::Link> server_link(const detail::Link& client) {
  const auto copy = [](int fd) { return SharedFd(Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), ::getuid()); };
  auto link = std::make_shared<detail::Link>();
  for (const Region& region : client.regions) {
    auto mapped = Region::map_peer(copy(region.fd()), region.size(), false);
    EXPECT_TRUE(mapped) << mapped.error().message;
    if (mapped) link->regions.push_back(std::move(*mapped));
  }
  for (const handshake::RingSpec& spec : detail::ring_specs(client)) {
    detail::LinkRing ring;
    ring.spec = spec;
    ring.interrupt = copy(client.ring(spec.s2m, spec.index)->interrupt.get());
    (spec.s2m ? link->rx : link->tx).push_back(std::move(ring));
  }
  return link;
}

}  // namespace memif::test
