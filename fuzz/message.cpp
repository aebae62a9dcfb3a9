// Control messages: whatever parses is written and parsed again to the same.
#include "protocol/message.hpp"

#include <algorithm>
#include <string_view>

#include "input.hpp"

namespace {

using namespace memif;
using fuzz::require;

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

struct Check {
  void operator()(const message::Ack&) const {}
  void operator()(const message::Hello& hello) const { require(printable(hello.name), "names are printable"); }
  void operator()(const message::Init& init) const {
    require(printable(init.name), "names are printable");
    require(init.mode <= Mode::punt_inject, "the mode is one of three");
  }
  void operator()(const message::AddRegion&) const {}
  void operator()(const message::AddRing&) const {}
  void operator()(const message::Connect& connect) const {
    require(printable(connect.interface_name), "names are printable");
  }
  void operator()(const message::Connected& connected) const {
    require(printable(connected.interface_name), "names are printable");
  }
  void operator()(const message::Disconnect& disconnect) const {
    require(printable(disconnect.text) && disconnect.text.size() <= message::reason_size,
            "texts are printable and fit");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Result<message::Message> parsed = message::parse(std::as_bytes(std::span(data, size)));
  if (!parsed) {
    require(!parsed.error().message.empty(), "a refusal says why");
    return 0;
  }
  require(size == message::size, "messages have one size");
  std::visit(Check{}, *parsed);
  require(message::name(*parsed) != nullptr, "every message has a name");
  const message::Bytes emitted = message::emit(*parsed);
  const Result<message::Message> again = message::parse(emitted);
  require(again.ok() && *again == *parsed, "what is written reads the same");
  return 0;
}
