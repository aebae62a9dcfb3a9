// Packets of any kind, whole or cut, as memif dump describes them. What is said is printable, not endless, and of a
// packet of which the capture kept the beginning it never says that the packet itself is too short where it is not.
#include "decode/decode.hpp"

#include <algorithm>
#include <string>

#include "input.hpp"

namespace {

using namespace memif;
using namespace memif::tool;
using fuzz::require;

constexpr std::size_t longest_line = 20'000;

void check(const std::string& text) {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  require(printable, "a description is printable");
  require(!text.empty() && text.size() < longest_line, "a description is a line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t shape = input.byte();
  const Mode mode = shape % 2 == 0 ? Mode::ethernet : Mode::ip;
  const View packet = input.rest();
  check(decode(packet, packet.size(), mode));
  std::string verbose = decode(packet, packet.size(), mode, true);
  std::replace(verbose.begin(), verbose.end(), '\n', ' ');  // between the header and what follows it
  check(verbose);
  check(decode_link(packet, packet.size()));
  const std::size_t kept = packet.size() * (shape / 2) / 128;
  const std::string cut = decode(packet.first(kept), packet.size(), mode);
  check(cut);
  if (kept < packet.size()) check(decode(packet.first(kept), packet.size() + 70'000, mode));
  return 0;
}
