// Captures from anywhere: read as the command reads them, described, and written again. What was written is read back
// the same.
#include <algorithm>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include <memif/fd.hpp>

#include "capture/describe.hpp"
#include "capture/filter.hpp"
#include "capture/reader.hpp"
#include "common/command.hpp"
#include "decode/decode.hpp"
#include "input.hpp"

namespace {

using namespace memif;
using namespace memif::tool;
using fuzz::require;

constexpr std::size_t most_described = 4096;

// One memory file for all inputs.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("capture", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_.get())) {}

  const std::string& hold(View bytes) {
    require(::ftruncate(fd_.get(), static_cast<off_t>(bytes.size())) == 0, "a memory file can be resized");
    require(::pwrite(fd_.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
            "a memory file can be written");
    return path_;
  }

 private:
  Fd fd_;
  std::string path_;
};

bool carried(const CaptureReader& reader, Mode mode) {
  try {
    reader.require(mode);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

void look_at(const CapturedPacket& packet) {
  require(packet.original_size >= packet.data.size(), "a packet is at least as long as what there is of it");
  const View head = packet.data.first(std::min(packet.data.size(), most_described));
  require(TimeColumn(0)(packet.time).size() == sizeof "12:34:56.123456 " - 1, "every time has its text");
  for (const unsigned form : {2u, 3u, 4u, 5u}) require(!TimeColumn(form)(packet.time).empty(), "in every form");
  for (const Mode mode : {Mode::ethernet, Mode::ip, Mode::punt_inject})
    require(!decode(head, packet.original_size, mode).empty(), "every packet is described");
}

void append(Bytes& out, const CapturedPacket& packet) {
  const std::size_t at = out.size(), size = packet.data.size();
  out.resize(at + pcapng::packet_head + size + pcapng::packet_tail);
  std::copy(packet.data.begin(), packet.data.end(),
            out.begin() + static_cast<std::ptrdiff_t>(at + pcapng::packet_head));
  out.resize(at + pcapng::write_packet(out.data() + at,
                                       {.time = packet.time, .size = size, .original_size = packet.original_size}));
}

// Reads all; what can be written again goes to `out`.
std::size_t read_all(CaptureReader& reader, Bytes& out) {
  std::size_t packets = 0;
  while (const auto packet = reader.next()) {
    const auto part = reader.part_read();
    require(!part || (*part >= 0 && *part <= 1), "the part read is a part");
    look_at(*packet);
    append(out, *packet);
    ++packets;
  }
  return packets;
}

void read_again(CaptureReader& reader, std::size_t packets) {
  std::size_t again = 0;
  while (reader.next()) ++again;
  require(again == packets, "as many packets are read as were written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static MemoryFile file;
  Bytes out;
  std::size_t packets = 0;
  try {
    CaptureReader reader(file.hold(View(data, size)));
    pcapng::append_section_header(out, "fuzzer");
    pcapng::append_interface(out,
                             {.link_type = pcapng::file_link_type(reader.link_type()), .name = "any", .filter = ""});
    carried(reader, Mode::ethernet);
    carried(reader, Mode::ip);
    packets = read_all(reader, out);
  } catch (const UsageError&) {
    require(false, "reading is no matter of usage");
  } catch (const Failure& failure) {
    require(failure.what()[0] != '\0', "a failure says what");
    return 0;
  }
  CaptureReader again(file.hold(out));
  read_again(again, packets);
  return 0;
}
