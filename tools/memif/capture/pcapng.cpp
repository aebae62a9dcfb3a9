#include "capture/pcapng.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace memif::tool::pcapng {
namespace {

enum BlockType : std::uint32_t {
  section_header = 0x0a0d0d0a,
  interface_description = 1,
  interface_statistics = 5,
  enhanced_packet = 6,
};

enum Option : std::uint16_t {
  end_of_options = 0,
  section_application = 4,
  packet_flags = 2,
  interface_name = 2,
  interface_time_resolution = 9,
  interface_filter = 11,
  statistics_start = 2,
  statistics_end = 3,
  statistics_received = 4,
  statistics_dropped = 5,
  statistics_accepted = 6,
};

template <class Number>
void append(Bytes& out, Number number) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&number);
  out.insert(out.end(), bytes, bytes + sizeof number);
}

void append_padded(Bytes& out, View data) {
  out.insert(out.end(), data.begin(), data.end());
  out.resize(out.size() + (4 - data.size() % 4) % 4);
}

void append_option(Bytes& out, Option code, View value) {
  append(out, static_cast<std::uint16_t>(code));
  append(out, static_cast<std::uint16_t>(value.size()));
  append_padded(out, value);
}

void append_option(Bytes& out, Option code, const std::string& text) {
  append_option(out, code,
                View(reinterpret_cast<const std::uint8_t*>(text.data()), std::min<std::size_t>(text.size(), 0xffff)));
}

void append_option(Bytes& out, Option code, std::uint64_t number) {
  append_option(out, code, View(reinterpret_cast<const std::uint8_t*>(&number), sizeof number));
}

// Times are two 32-bit halves, the upper one first, whatever the byte order.
void append_time(Bytes& out, CaptureTime time) {
  const auto ns = static_cast<std::uint64_t>(time.time_since_epoch().count());
  append(out, static_cast<std::uint32_t>(ns >> 32));
  append(out, static_cast<std::uint32_t>(ns));
}

void append_time_option(Bytes& out, Option code, CaptureTime time) {
  append(out, static_cast<std::uint16_t>(code));
  append(out, std::uint16_t{8});
  append_time(out, time);
}

// Type and length in front of a block, its length once more behind it.
class Block {
 public:
  Block(Bytes& out, BlockType type) : out_(out), start_(out.size()) {
    append(out, static_cast<std::uint32_t>(type));
    append(out, std::uint32_t{0});
  }
  void end() {
    const auto length = static_cast<std::uint32_t>(out_.size() + 4 - start_);
    append(out_, length);
    std::memcpy(out_.data() + start_ + 4, &length, sizeof length);
  }

 private:
  Bytes& out_;
  std::size_t start_;
};

}  // namespace

void append_section_header(Bytes& out, const std::string& application) {
  Block block(out, section_header);
  append(out, std::uint32_t{0x1a2b3c4d});  // tells the byte order
  append(out, std::uint16_t{1});           // version 1.0
  append(out, std::uint16_t{0});
  append(out, std::int64_t{-1});  // the section's length is not known
  append_option(out, section_application, application);
  append_option(out, end_of_options, View());
  block.end();
}

void append_interface(Bytes& out, const Description& interface) {
  constexpr std::uint8_t nanoseconds = 9;  // 10^-9 s
  constexpr std::uint8_t expression = 0;   // the filter is text
  Block block(out, interface_description);
  append(out, interface.link_type);
  append(out, std::uint16_t{0});
  append(out, interface.snap_length);
  append_option(out, interface_name, interface.name);
  append_option(out, interface_time_resolution, View(&nanoseconds, 1));
  if (!interface.filter.empty()) {
    Bytes filter{expression};
    filter.insert(filter.end(), interface.filter.begin(), interface.filter.end());
    append_option(out, interface_filter, View(filter).first(std::min<std::size_t>(filter.size(), 0xffff)));
  }
  append_option(out, end_of_options, View());
  block.end();
}

void append_statistics(Bytes& out, std::uint32_t interface, CaptureTime time, const Statistics& statistics) {
  Block block(out, interface_statistics);
  append(out, interface);
  append_time(out, time);
  append_time_option(out, statistics_start, statistics.start);
  append_time_option(out, statistics_end, statistics.end);
  append_option(out, statistics_received, statistics.received);
  append_option(out, statistics_dropped, statistics.dropped);
  append_option(out, statistics_accepted, statistics.accepted);
  append_option(out, end_of_options, View());
  block.end();
}

std::size_t write_packet(std::uint8_t* block, const PacketRecord& packet) noexcept {
  const auto put = [](std::uint8_t*& at, auto number) {
    std::memcpy(at, &number, sizeof number);
    at += sizeof number;
  };
  constexpr auto most = std::numeric_limits<std::uint32_t>::max();
  const std::size_t padding = (4 - packet.size % 4) % 4;
  const std::size_t options = packet.direction == Direction::unknown ? 0 : 12;
  const auto length = static_cast<std::uint32_t>(packet_head + packet.size + padding + options + 4);
  const auto ns = static_cast<std::uint64_t>(packet.time.time_since_epoch().count());
  std::uint8_t* at = block;
  put(at, static_cast<std::uint32_t>(enhanced_packet));
  put(at, length);
  put(at, packet.interface);
  put(at, static_cast<std::uint32_t>(ns >> 32));
  put(at, static_cast<std::uint32_t>(ns));
  put(at, static_cast<std::uint32_t>(packet.size));
  put(at, static_cast<std::uint32_t>(std::min<std::size_t>(packet.original_size, most)));
  at += packet.size;
  at = std::fill_n(at, padding, std::uint8_t{0});
  if (options != 0) {
    put(at, static_cast<std::uint16_t>(packet_flags));
    put(at, std::uint16_t{4});
    put(at, static_cast<std::uint32_t>(packet.direction));
    put(at, std::uint32_t{end_of_options});
  }
  put(at, length);
  return length;
}

std::uint16_t file_link_type(int dlt) noexcept {
  constexpr int dlt_raw = 12;
  return static_cast<std::uint16_t>(dlt == dlt_raw ? 101 : dlt);
}

}  // namespace memif::tool::pcapng
