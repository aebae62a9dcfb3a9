// What a user or a script writes: ports, quantities, addresses. Whatever is refused is refused with a message.
#include <cmath>
#include <string>
#include <string_view>

#include "bridge/word.hpp"
#include "common/command.hpp"
#include "common/port_options.hpp"
#include "common/units.hpp"
#include "input.hpp"
#include "perf/packet.hpp"
#include "perf/range.hpp"
#include "replay/rewrite.hpp"

namespace {

using namespace memif;
using namespace memif::tool;
using fuzz::require;

// Whether `parse` took the text.
template <class Parse>
void attempt(const Parse& parse) {
  try {
    parse();
  } catch (const UsageError& error) {
    require(error.what()[0] != '\0', "a refusal says why");
  }
}

void check_port_options(const PortOptions& options) {
  require(validate(options.config).ok(), "a port that parses is valid");
  require(!options.config.socket.empty(), "a port has a socket");
  require(!options.wait || options.wait->count() >= 0, "nobody waits less than no time");
}

void check_bridge_word(const BridgeWord& word) {
  if (const auto* port = std::get_if<PortOptions>(&word)) {
    check_port_options(*port);
    require(port->config.mode == Mode::ethernet, "a bridge carries frames");
  } else if (const auto* tap = std::get_if<TapOptions>(&word)) {
    require(!tap->name.empty() && tap->name.size() < 16, "a TAP's name fits");
    require(tap->name.find('/') == std::string::npos && tap->netns.find('/') == std::string::npos,
            "names are no paths");
  } else if (const auto* xdp = std::get_if<XdpOptions>(&word)) {
    require(!xdp->interface.empty() && xdp->interface.size() < 16, "an interface's name fits");
    require(xdp->netns.find('/') == std::string::npos, "names are no paths");
  } else {
    const auto& pcap = std::get<PcapOptions>(word);
    require(pcap.in != pcap.out && pcap.loops != 0, "a capture is not read and written at once");
  }
}

void check_address(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) return;
  const auto again = IpAddress::parse(to_string(*address));
  require(again && *again == *address, "an address that is written reads the same");
}

void check_range(const FieldRange& range) {
  require(range.count != 0, "a range is not empty");
  const std::uint64_t last = range.count - 1;
  if (range.size != 4 && range.size != 16) return;
  for (const std::uint64_t index : {std::uint64_t{0}, last / 2, last}) {
    require(addresses(range).contains(address_at(range, index)), "an address of a range lies in it");
    require(index_of(address_at(range, index), range) == index, "an address of a range has its number");
  }
}

void check_sizes(const std::vector<std::size_t>& sizes) { require(!sizes.empty(), "a mix has sizes"); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t kind = input.byte();
  const std::string text(reinterpret_cast<const char*>(input.rest().data()), input.rest().size());
  switch (kind % 9) {
    case 0:
    case 1:
      // Not what that key does: it reads the file.
      if (text.find("secret-file") == std::string::npos) attempt([&] { check_port_options(parse_port_word(text)); });
      break;
    case 2:
    case 3:
      if (text.find("secret-file") == std::string::npos) attempt([&] { check_bridge_word(parse_bridge_word(text)); });
      break;
    case 4:
      attempt([&] {
        const auto duration = parse_duration(text);
        require(duration.count() >= 0, "durations are not negative");
        require(!format_duration(duration).empty(), "durations can be written");
      });
      attempt([&] { parse_size(text); });
      break;
    case 5:
      attempt([&] { require(parse_packet_rate(text) >= 0, "rates are not negative"); });
      attempt([&] { require(std::isfinite(parse_bit_rate(text)), "rates are finite"); });
      attempt([&] { require(parse_number(text, 10, 99) / 90 < 2, "numbers keep within their limits"); });
      break;
    case 6:
      attempt([&] {
        const AddressMap map = parse_address_map(text);
        require(map.from.length <= (map.to.v6() ? 128u : 32u), "a prefix is no longer than its address");
      });
      break;
    case 8:
      attempt([&] { check_range(parse_address_range(text)); });
      attempt([&] { check_range(parse_mac_range(text)); });
      attempt([&] { check_range(parse_port_range(text)); });
      if (text.size() < 40) attempt([&] { check_sizes(parse_size_mix(text)); });  // many weights take long
      break;
    default:
      check_address(text);
      attempt([&] {
        const Mac mac = parse_mac(text);
        require(parse_mac(to_string(mac)) == mac, "a MAC that is written reads the same");
      });
  }
  return 0;
}
