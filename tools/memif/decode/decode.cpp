#include "decode/decode.hpp"

#include "common/output.hpp"
#include "decode/decoders.hpp"

namespace memif::tool {
namespace decoding {

IpAddress address4(View bytes) { return IpAddress(std::span<const std::uint8_t, 4>(bytes.data(), 4)); }
IpAddress address6(View bytes) { return IpAddress(std::span<const std::uint8_t, 16>(bytes.data(), 16)); }

Mac mac(View bytes) {
  Mac mac{};
  std::copy_n(bytes.begin(), mac.size(), mac.begin());
  return mac;
}

std::string text_of(View bytes) { return printable({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); }

void check_sum(Line& line, const char* name, const Ends& ends, const Part& part, std::uint16_t found) {
  if (ends.fragment || !part.whole()) return;
  const std::uint32_t pseudo =
      sum_pseudo_header(ends.source, ends.last.value_or(ends.destination), ends.protocol, part.size());
  if (checksum(part.kept(), pseudo) == 0) return;
  const auto partial = static_cast<std::uint16_t>(~checksum({}, pseudo));
  line.notes += fmt::format(" [{} checksum {}]", name, found == partial ? "offloaded" : "wrong");
}

}  // namespace decoding

std::string decode(View packet, std::size_t total, Mode mode, bool verbose) {
  decoding::Line line;
  line.verbose = verbose;
  try {
    const decoding::Part whole(packet, total);
    if (mode == Mode::ethernet)
      decoding::ethernet(line, whole);
    else if (mode == Mode::ip)
      decoding::ip(line, whole);
    else
      line.add("punt/inject");
  } catch (const decoding::PartEnded& end) {
    line.add("{}{}", line.text.empty() || line.text.ends_with(' ') ? "" : ", ", end.cut ? "truncated" : "too short");
  }
  while (line.text.ends_with(' ')) line.text.pop_back();
  return line.text + line.notes;
}

std::string decode_link(View frame, std::size_t total) {
  const auto ethernet = parse_ethernet(frame);
  if (!ethernet) return fmt::format("length {}: ", total);
  return fmt::format("{} > {}, {}, length {}: ", to_string(ethernet->source), to_string(ethernet->destination),
                     decoding::type_name(ethernet->type), total);
}

}  // namespace memif::tool
