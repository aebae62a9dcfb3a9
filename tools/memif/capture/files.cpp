#include "capture/files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

#include "common/output.hpp"

namespace memif::tool {
std::string ring_name(const std::string& path, std::uint64_t number, CaptureTime time) {
  const std::filesystem::path whole(path);
  const auto seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  const std::string name = fmt::format("{}_{:05}_{:%Y%m%d%H%M%S}{}", whole.stem().string(), number,
                                       fmt::localtime(seconds), whole.extension().string());
  return (whole.parent_path() / name).string();
}

CaptureFiles::CaptureFiles(std::string path, const CaptureConditions& change,
                           const std::vector<pcapng::Description>& interfaces,
                           std::function<std::vector<pcapng::Statistics>()> statistics)
    : path_(std::move(path)), change_(change), statistics_(std::move(statistics)), file_(interfaces) {
  begin();
  file_.flush();  // a place that cannot be written to is told of now; who reads a pipe waits for this
}

void CaptureFiles::begin() {
  ++begun_;
  const std::string name = ring() ? ring_name(path_, begun_, capture_now()) : path_;
  file_.open(name);
  names_.push_back(name);
  packets_ = 0;
  if (change_.duration) due_ = Clock::now() + *change_.duration;
  if (!ring() || change_.files == 0 || names_.size() <= change_.files) return;
  if (::unlink(names_.front().c_str()) != 0)
    notice(fmt::format("cannot remove {}: {}", names_.front(), std::strerror(errno)));
  names_.pop_front();
}

void CaptureFiles::packet(const pcapng::PacketRecord& packet) {
  if (!file_.is_open()) begin();
  file_.packet(packet);
  ++packets_;
  if ((change_.packets != 0 && packets_ >= change_.packets) || (change_.bytes != 0 && file_.bytes() >= change_.bytes))
    close();
}

void CaptureFiles::flush() {
  if (!file_.is_open()) return;
  if (Clock::now() >= due_)
    close();
  else
    file_.flush();
}

void CaptureFiles::close() {
  if (!file_.is_open()) return;
  const CaptureTime now = capture_now();
  std::uint32_t interface = 0;
  for (const pcapng::Statistics& statistics : statistics_()) file_.statistics(interface++, now, statistics);
  file_.close();
  closed_bytes_ += file_.bytes();
  due_ = Clock::time_point::max();
  ++finished_;
}

}  // namespace memif::tool
