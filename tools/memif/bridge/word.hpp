// A bridge's ports as words: memif:PATH,..., tap:NAME,..., xdp:INTERFACE,..., pcap:in=FILE,out=FILE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/address.hpp"
#include "common/port_options.hpp"

namespace memif::tool {

struct TapOptions {
  std::string name;
  std::vector<Prefix> addresses;
  std::optional<std::uint32_t> mtu;
  std::optional<Mac> mac;
  std::string netns;    // name of a network namespace; empty: ours
  bool offload = true;  // the kernel hands over long TCP packets and unfinished checksums
};

enum class XdpMode { any, copy, zero_copy };

struct XdpOptions {
  std::string interface;
  std::uint32_t queue = 0;
  XdpMode mode = XdpMode::any;
  std::string netns;
};

struct PcapOptions {
  std::string in, out;  // files; empty: none
  std::uint64_t loops = 1;
  bool top_speed = false;  // else at the pace it was recorded
};

using BridgeWord = std::variant<PortOptions, TapOptions, XdpOptions, PcapOptions>;

// Throws UsageError, naming the word and what is wrong with it.
BridgeWord parse_bridge_word(std::string_view word);

// All that can be written: with what may follow, for the help; as the choices of a value, for the shells.
std::string bridge_word_help();
std::string bridge_word_values();

}  // namespace memif::tool
