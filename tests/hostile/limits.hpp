// Victims with a limit on what their peers bring.
#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <string_view>

#include "limited_victim.hpp"
#include "raw_peer.hpp"

namespace memif::hostile {

inline constexpr std::uint64_t MiB = 1 << 20;

inline InterfaceConfig server(std::uint64_t max_peer_memory) {
  InterfaceConfig config;
  config.id = good_id;
  config.role = Role::server;
  config.secret = good_secret;
  config.max_peer_memory = max_peer_memory;
  return config;
}

inline void expect_reason(const Report& report, Errc code, std::string_view words) {
  EXPECT_EQ(report.code, static_cast<int>(code)) << report.text.data();
  EXPECT_NE(std::string_view(report.text.data()).find(words), std::string_view::npos) << report.text.data();
}

}  // namespace memif::hostile
