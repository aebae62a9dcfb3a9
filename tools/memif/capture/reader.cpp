#include "capture/reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <memif/fd.hpp>

#include "capture/filter.hpp"

namespace memif::tool {
namespace {

// The file, opened, if it is compressed.
Fd compressed_file(const std::string& path) {
  Fd file(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4> head{};
  const ssize_t length = file ? ::pread(file.get(), head.data(), head.size(), ::lseek(file.get(), 0, SEEK_CUR)) : -1;
  if (length <= 0 || !is_compressed({head.data(), static_cast<std::size_t>(length)})) return {};
  return file;
}

}  // namespace

struct CaptureReader::File {
  std::string name;
  std::unique_ptr<Decompressed> source;  // that pcap reads from, unless it reads the file itself
  std::unique_ptr<pcap_t, decltype(&::pcap_close)> pcap{nullptr, ::pcap_close};
  std::uint64_t packets = 0;
};

CaptureReader::CaptureReader(const std::string& path) : file_(std::make_unique<File>()) {
  file_->name = path == "-" ? "standard input" : path;
  if (Fd file = compressed_file(path)) {
    read_from([fd = std::make_shared<Fd>(std::move(file))](char* to, std::size_t size) {
      return ::read(fd->get(), to, size);
    });
    return;
  }
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  file_->pcap.reset(::pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (file_->pcap) return;
  std::string why(error.data());
  if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
  throw Failure(exit_failed, fmt::format("cannot read {}: {}", file_->name, why));
}

CaptureReader::CaptureReader(ReadSome read, const std::string& name) : file_(std::make_unique<File>()) {
  file_->name = name;
  read_from(std::move(read));
}

void CaptureReader::read_from(ReadSome read) {
  const auto read_some = [](void* source, char* to, std::size_t size) {
    return static_cast<Decompressed*>(source)->read(to, size);
  };
  file_->source = std::make_unique<Decompressed>(std::move(read));
  std::FILE* const stream =
      ::fopencookie(file_->source.get(), "r", {.read = read_some, .write = {}, .seek = {}, .close = {}});
  if (stream == nullptr) throw std::system_error(errno, std::generic_category(), "fopencookie");
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  file_->pcap.reset(::pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (file_->pcap) return;
  std::fclose(stream);
  throw Failure(exit_failed, fmt::format("cannot read {}: {}", file_->name, what_is_wrong(error.data())));
}

// Of compressed data, libpcap knows no more than that it cannot be read.
std::string CaptureReader::what_is_wrong(const char* told) const {
  return file_->source && !file_->source->why().empty() ? file_->source->why() : told;
}

CaptureReader::~CaptureReader() = default;
CaptureReader::CaptureReader(CaptureReader&&) noexcept = default;
CaptureReader& CaptureReader::operator=(CaptureReader&&) noexcept = default;

std::optional<CapturedPacket> CaptureReader::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int result = ::pcap_next_ex(file_->pcap.get(), &header, &data);
  if (result == PCAP_ERROR_BREAK) return std::nullopt;
  if (result != 1)
    throw CaptureDamaged(fmt::format("cannot read {} beyond packet {}: {}", file_->name, file_->packets,
                                     what_is_wrong(::pcap_geterr(file_->pcap.get()))));
  ++file_->packets;
  // With nanosecond precision, libpcap has nanoseconds in tv_usec. A capture can hold any number there: unsigned
  // arithmetic wraps where a signed one would overflow.
  const std::uint64_t ns =
      static_cast<std::uint64_t>(header->ts.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(header->ts.tv_usec);
  return CapturedPacket{CaptureTime(std::chrono::nanoseconds(static_cast<std::int64_t>(ns))),
                        View(data, header->caplen), std::max<std::size_t>(header->len, header->caplen)};
}

bool CaptureReader::carried_by(Mode mode) const {
  const int type = link_type();
  return type == tool::link_type(mode) || (mode == Mode::ip && (type == DLT_IPV4 || type == DLT_IPV6));
}

std::string CaptureReader::link_type_name() const {
  const char* const name = ::pcap_datalink_val_to_name(link_type());
  return name != nullptr ? name : std::to_string(link_type());
}

void CaptureReader::require(Mode mode) const {
  if (!carried_by(mode))
    throw UsageError(fmt::format("{} has packets of link type {}, which a port of mode {} does not carry", file_->name,
                                 link_type_name(), memif::to_string(mode)));
}

Mode CaptureReader::mode() const {
  for (const Mode mode : {Mode::ethernet, Mode::ip, Mode::punt_inject})
    if (carried_by(mode)) return mode;
  throw UsageError(
      fmt::format("{} has packets of link type {}, which memif does not carry", file_->name, link_type_name()));
}

std::optional<double> CaptureReader::part_read() const {
  std::FILE* const stream = ::pcap_file(file_->pcap.get());
  struct stat status {};
  if (stream == nullptr || ::fstat(::fileno(stream), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
    return std::nullopt;
  return std::clamp(static_cast<double>(::ftello(stream)) / static_cast<double>(status.st_size), 0.0, 1.0);
}

int CaptureReader::link_type() const { return ::pcap_datalink(file_->pcap.get()); }

}  // namespace memif::tool
