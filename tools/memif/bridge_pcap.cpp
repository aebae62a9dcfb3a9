// memif bridge: capture files as a port: one is sent into the bridge, one keeps what the bridge sends to the port.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "bridge_port.hpp"
#include "command.hpp"
#include "packets.hpp"

namespace memif::tool {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

struct CloseCapture {
  void operator()(pcap_t* capture) const noexcept { ::pcap_close(capture); }
  void operator()(pcap_dumper_t* file) const noexcept { ::pcap_dump_close(file); }
};
using Capture = std::unique_ptr<pcap_t, CloseCapture>;

constexpr std::size_t pcap_burst = 32;

// The file that is sent, frame by frame when it is their time.
class Source {
 public:
  explicit Source(const PcapOptions& options) : options_(options), loops_left_(options.loops) { rewind(); }

  bool ended() const noexcept { return head_ == nullptr; }
  BridgePort::Time due() const noexcept { return due_; }
  Frame frame() const noexcept { return {reinterpret_cast<const std::byte*>(data_), head_->caplen}; }
  bool whole() const noexcept { return head_->caplen == head_->len; }

  // The frame() is there until then.
  void next(BridgePort::Time now) {
    const int result = ::pcap_next_ex(file_.get(), &head_, &data_);
    if (result == 1) {
      schedule(now);
      return;
    }
    if (result != PCAP_ERROR_BREAK)
      throw Failure(exit_failed, fmt::format("cannot read {}: {}", options_.in, ::pcap_geterr(file_.get())));
    head_ = nullptr;
    due_ = BridgePort::Time::max();
    const bool empty = !first_;
    if (--loops_left_ == 0 || empty) return;
    rewind();
    next(now);
  }

 private:
  void rewind() {
    char reason[PCAP_ERRBUF_SIZE] = "";
    file_.reset(::pcap_open_offline_with_tstamp_precision(options_.in.c_str(), PCAP_TSTAMP_PRECISION_NANO, reason));
    if (!file_) throw Failure(exit_failed, fmt::format("cannot read a capture from {}: {}", options_.in, reason));
    if (::pcap_datalink(file_.get()) != DLT_EN10MB)
      throw Failure(exit_failed, fmt::format("{} has no Ethernet frames", options_.in));
    first_.reset();
  }

  void schedule(BridgePort::Time now) {
    const nanoseconds recorded = seconds(head_->ts.tv_sec) + nanoseconds(head_->ts.tv_usec);  // as asked for above
    if (!first_) {
      first_ = recorded;
      start_ = now;
    }
    due_ = options_.top_speed ? now : start_ + std::max(recorded - *first_, nanoseconds(0));
  }

  PcapOptions options_;
  std::uint64_t loops_left_;
  Capture file_;
  pcap_pkthdr* head_ = nullptr;
  const unsigned char* data_ = nullptr;
  std::optional<nanoseconds> first_;  // time of the file's first frame
  BridgePort::Time start_{}, due_{};
};

class PcapPort final : public BridgePort {
 public:
  explicit PcapPort(const PcapOptions& options)
      : BridgePort("pcap:" + (options.in.empty() ? options.out : options.in)), path_(options.out) {
    if (!options.in.empty()) source_.emplace(options);
    if (!path_.empty()) create();
  }

  void finish() override {
    if (output_ && ::pcap_dump_flush(output_.get()) != 0) fail();
  }

  bool arm(std::vector<pollfd>&) override {
    finish();
    return due() > std::chrono::steady_clock::now();
  }
  Time due() const override { return !source_ ? Time::max() : !started_ ? Time::min() : source_->due(); }

 private:
  // pcap keeps one frame at a time, so a burst is a copy.
  void take(std::vector<Frame>& frames) override {
    if (!source_) return;
    const Time now = std::chrono::steady_clock::now();
    if (!std::exchange(started_, true)) source_->next(now);
    std::size_t used = 0;
    for (std::size_t i = 0; i < pcap_burst && !source_->ended() && source_->due() <= now; ++i, source_->next(now)) {
      const Frame frame = source_->frame();
      if (!source_->whole() || frame.size() > max_packet) {  // cut off when it was captured
        ++counters_.rx_dropped;
        continue;
      }
      const auto room = std::span(memory_).subspan(used, frame.size());
      std::copy(frame.begin(), frame.end(), room.begin());
      frames.emplace_back(room);
      used += frame.size();
    }
  }

  void put(Frames frames) override {
    if (!output_) return;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto whole = std::chrono::floor<seconds>(now);
    pcap_pkthdr head{};
    head.ts = {static_cast<time_t>(whole.count()), static_cast<suseconds_t>(nanoseconds(now - whole).count())};
    for (const Frame& frame : frames) {
      head.caplen = head.len = static_cast<bpf_u_int32>(frame.size());
      ::pcap_dump(reinterpret_cast<unsigned char*>(output_.get()), &head,
                  reinterpret_cast<const unsigned char*>(frame.data()));
      sent(frame);
    }
    if (std::ferror(::pcap_dump_file(output_.get())) != 0) fail();
  }

  [[noreturn]] void fail() const {
    throw Failure(exit_failed, fmt::format("cannot write to {}: {}", path_, std::strerror(errno)));
  }

  // An ordinary file: a pipe that nobody reads would stop the whole bridge.
  void create() {
    struct stat status {};
    if (::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
      throw Failure(exit_failed, fmt::format("{} is not an ordinary file", path_));
    format_.reset(::pcap_open_dead_with_tstamp_precision(DLT_EN10MB, max_packet, PCAP_TSTAMP_PRECISION_NANO));
    output_.reset(::pcap_dump_open(format_.get(), path_.c_str()));
    if (!output_) throw Failure(exit_failed, fmt::format("cannot write {}", ::pcap_geterr(format_.get())));
  }

  const std::string path_;  // of what is written
  std::optional<Source> source_;
  bool started_ = false;
  std::vector<std::byte> memory_ = std::vector<std::byte>(pcap_burst * max_packet);
  Capture format_;
  std::unique_ptr<pcap_dumper_t, CloseCapture> output_;
};

}  // namespace

std::unique_ptr<BridgePort> open_port(const PcapOptions& options) { return std::make_unique<PcapPort>(options); }

}  // namespace memif::tool
