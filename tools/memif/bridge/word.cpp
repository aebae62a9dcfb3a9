#include "bridge/word.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <iterator>
#include <limits>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t longest_interface_name = 15;
constexpr std::uint32_t bridge_ring_size = 2048;  // a TAP gives 64 KiB of TCP at once

// The words after the scheme: VALUE,key=value,...
class Pieces {
 public:
  explicit Pieces(std::string_view text) : rest_(text), left_(true) {}

  bool next() {
    if (!left_) return false;
    const std::size_t comma = rest_.find(',');
    const std::string_view piece = rest_.substr(0, comma);
    left_ = comma != std::string_view::npos;
    rest_ = left_ ? rest_.substr(comma + 1) : std::string_view();
    const std::size_t equals = piece.find('=');
    key = piece.substr(0, equals);
    value = equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1);
    bare = equals == std::string_view::npos;
    return true;
  }

  // The next piece must be key=value.
  bool next_pair() {
    if (!next()) return false;
    if (bare) throw UsageError(fmt::format("'{}' is not key=value", key));
    if (value.empty()) throw UsageError(fmt::format("{} is empty", key));
    return true;
  }

  std::string_view key, value;
  bool bare = false;

 private:
  std::string_view rest_;
  bool left_;
};

[[noreturn]] void unknown(std::string_view kind, std::string_view key) {
  throw UsageError(fmt::format("a {} port has no '{}'", kind, key));
}

bool plain(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isgraph(c) != 0 && c != '/' && c != ':' && c != '%';
  });
}

std::string interface_name(Pieces& pieces) {
  pieces.next();
  if (!pieces.bare || !plain(pieces.key) || pieces.key.size() > longest_interface_name)
    throw UsageError(fmt::format("an interface's name comes first: 1 to {} characters without '/', ':', '%' and spaces",
                                 longest_interface_name));
  return std::string(pieces.key);
}

std::string namespace_name(std::string_view value) {
  if (!plain(value)) throw UsageError(fmt::format("'{}' is not the name of a network namespace", value));
  return std::string(value);
}

Prefix prefix(std::string_view value) {
  if (value.find('/') == std::string_view::npos)
    throw UsageError(fmt::format("address '{}' needs the length of its network, such as 10.0.0.1/24", value));
  return parse_prefix(value);
}

TapOptions parse_tap(std::string_view text) {
  Pieces pieces(text);
  TapOptions options{
      .name = interface_name(pieces), .addresses = {}, .mtu = {}, .mac = {}, .netns = {}, .offload = true};
  while (pieces.next_pair()) {
    if (pieces.key == "address")
      options.addresses.push_back(prefix(pieces.value));
    else if (pieces.key == "mtu")
      options.mtu = static_cast<std::uint32_t>(parse_number(pieces.value, 68, 65521));
    else if (pieces.key == "mac")
      options.mac = parse_mac(pieces.value);
    else if (pieces.key == "netns")
      options.netns = namespace_name(pieces.value);
    else if (pieces.key != "offload")
      unknown("tap", pieces.key);
    else if (pieces.value == "yes" || pieces.value == "no")
      options.offload = pieces.value == "yes";
    else
      throw UsageError(fmt::format("offload '{}' is not yes or no", pieces.value));
  }
  return options;
}

XdpOptions parse_xdp(std::string_view text) {
  Pieces pieces(text);
  XdpOptions options{.interface = interface_name(pieces), .netns = {}};
  while (pieces.next_pair()) {
    if (pieces.key == "queue")
      options.queue = static_cast<std::uint32_t>(parse_number(pieces.value, 0, 4095));
    else if (pieces.key == "netns")
      options.netns = namespace_name(pieces.value);
    else if (pieces.key != "mode")
      unknown("xdp", pieces.key);
    else if (pieces.value == "auto")
      options.mode = XdpMode::any;
    else if (pieces.value == "copy")
      options.mode = XdpMode::copy;
    else if (pieces.value == "zero-copy")
      options.mode = XdpMode::zero_copy;
    else
      throw UsageError(fmt::format("mode '{}' is not auto, copy or zero-copy", pieces.value));
  }
  return options;
}

PcapOptions parse_pcap(std::string_view text) {
  Pieces pieces(text);
  PcapOptions options;
  while (pieces.next_pair()) {
    if (pieces.key == "in")
      options.in = pieces.value;
    else if (pieces.key == "out")
      options.out = pieces.value;
    else if (pieces.key == "loop")
      options.loops = parse_number(pieces.value, 1, std::numeric_limits<std::uint64_t>::max());
    else if (pieces.key != "pace")
      unknown("pcap", pieces.key);
    else if (pieces.value == "recorded" || pieces.value == "top")
      options.top_speed = pieces.value == "top";
    else
      throw UsageError(fmt::format("pace '{}' is not recorded or top", pieces.value));
  }
  if (options.in.empty() && options.out.empty()) throw UsageError("needs in=FILE, out=FILE or both");
  if (options.in == options.out) throw UsageError("in and out are the same file");
  if (options.out == "-") throw UsageError("out=- would mix the capture with the report: name an ordinary file");
  return options;
}

BridgeWord parse_memif(std::string_view word) {
  PortOptions options;
  options.wait.reset();
  options.reconnect = true;
  options.config.ring_size = bridge_ring_size;
  apply_port_word(word, options);
  if (options.config.mode != Mode::ethernet) throw UsageError(fmt::format("{}: a bridge needs mode=ethernet", word));
  check_port(options);
  return options;
}

// All kinds of port, each way of writing one a line. Its name is what comes before the colon.
struct Kind {
  std::string_view form;                       // the least that must be said
  std::string_view more;                       // what may follow
  BridgeWord (*parse)(std::string_view word);  // names the word in what it throws

  std::string_view scheme() const { return form.substr(0, form.find(':') + 1); }
};

// Of a parser that sees what is behind the scheme.
template <auto parse>
BridgeWord named(std::string_view word) {
  try {
    return parse(word.substr(word.find(':') + 1));
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", word, error.what()));
  }
}

constexpr Kind kinds[] = {
    {"memif:PATH", "[,role=ROLE,id=N,...]", parse_memif},
    {"tap:NAME", "[,address=A/N,mtu=N,mac=M,netns=NS,offload=no]", named<parse_tap>},
    {"xdp:INTERFACE", "[,queue=N,mode=auto|copy|zero-copy,netns=NS]", named<parse_xdp>},
    {"pcap:in=FILE", "[,loop=N,pace=recorded|top]", named<parse_pcap>},
    {"pcap:out=FILE", "", named<parse_pcap>},
};

std::string forms(bool with_more, std::string_view between, std::string_view before_last) {
  std::string text;
  for (const Kind& kind : kinds) {
    if (!text.empty()) text += &kind == std::end(kinds) - 1 ? before_last : between;
    text += kind.form;
    if (with_more) text += kind.more;
  }
  return text;
}

}  // namespace

BridgeWord parse_bridge_word(std::string_view word) {
  for (const Kind& kind : kinds)
    if (word.starts_with(kind.scheme())) return kind.parse(word);
  throw UsageError(fmt::format("'{}' is not a port: {}", word, forms(false, ", ", " or ")));
}

std::string bridge_word_help() { return forms(true, ", ", " or "); }

std::string bridge_word_values() { return forms(false, "|", "|"); }

}  // namespace memif::tool
