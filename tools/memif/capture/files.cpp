#include "capture/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "capture/names.hpp"
#include "common/output.hpp"

namespace memif::tool {
namespace {

// Beside the capture, with the lowest priority. Those that have ended are forgotten here.
void run_after(const std::string& command, const std::string& file) {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
  const pid_t child = ::fork();
  if (child < 0) notice(fmt::format("cannot run {} {}: {}", command, file, std::strerror(errno)));
  if (child != 0) return;
  ::setpriority(PRIO_PROCESS, 0, 19);
  ::execlp(command.c_str(), command.c_str(), file.c_str(), nullptr);
  constexpr int not_found = 127;
  ::_exit(not_found);
}

}  // namespace

CaptureFiles::CaptureFiles(std::string path, const CaptureConditions& change,
                           const std::vector<pcapng::Description>& interfaces,
                           std::function<std::vector<pcapng::Statistics>()> statistics, const CaptureKind& kind,
                           CaptureNaming naming)
    : path_(std::move(path)),
      change_(change),
      naming_(std::move(naming)),
      statistics_(std::move(statistics)),
      file_(interfaces, kind) {
  begin();
  file_.flush();  // a place that cannot be written to is told of now; who reads a pipe waits for this
}

void CaptureFiles::begin() {
  ++begun_;
  const std::string name = next_name();
  file_.open(name);
  names_.erase(std::remove(names_.begin(), names_.end(), name), names_.end());  // written over
  names_.push_back(name);
  packets_ = 0;
  if (change_.duration) due_ = Clock::now() + *change_.duration;
  if (!ring() || change_.files == 0 || names_.size() <= change_.files) return;
  if (::unlink(names_.front().c_str()) != 0)
    notice(fmt::format("cannot remove {}: {}", names_.front(), std::strerror(errno)));
  names_.pop_front();
}

std::string CaptureFiles::next_name() {
  if (!ring()) return path_;
  if (naming_.style == CaptureNaming::Style::dumpcap) return ring_name(path_, begun_, capture_now());
  const std::string name = naming_.by_time ? timed_name(path_, capture_now()) : path_;
  return naming_.counted ? counted_name(name, number_++, naming_.wrap) : name;
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
  if (Clock::now() >= due_) number_ = 0;  // a new period counts anew
  due_ = Clock::time_point::max();
  ++finished_;
  if (!naming_.command.empty()) run_after(naming_.command, names_.back());
}

}  // namespace memif::tool
