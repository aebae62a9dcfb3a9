// memif bridge: capture files as a port: one is sent into the bridge, one keeps what the bridge sends to the port.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "bridge/port.hpp"
#include "capture/feed.hpp"
#include "common/command.hpp"
#include "net/packets.hpp"

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
constexpr std::uint64_t longest_gap = std::uint64_t{1} << 61;  // ns: 73 years, and still a time when it is added to now

// The file that is sent, frame by frame when it is their time. What comes through a pipe may not be there yet.
class Source {
 public:
  explicit Source(const PcapOptions& options) : options_(options), loops_left_(options.loops), feed_(open()) {
    if (options.loops != 1 && feed_.fd() >= 0)
      throw UsageError(fmt::format("loop= needs an ordinary file, which {} is not", options.in));
  }

  // Whether there is a frame whose time has come. It stays until next().
  bool ready(BridgePort::Time now) {
    if (!loaded_ && !ended_) load(now);
    return loaded_ && due_ <= now;
  }
  void next() noexcept { loaded_ = false; }
  const CapturedPacket& frame() const noexcept { return feed_.packet(); }

  // When to ask again, or else when fd() is readable, if it is not -1.
  BridgePort::Time due() const noexcept { return loaded_ ? due_ : BridgePort::Time::max(); }
  int fd() const noexcept { return loaded_ || ended_ ? -1 : feed_.fd(); }

 private:
  CaptureFeed open() const {
    CaptureFeed feed(options_.in);
    feed.require(Mode::ethernet);
    return feed;
  }

  void load(BridgePort::Time now) {
    auto next = feed_.next();
    while (next == CaptureFeed::Next::end && !end_loop()) next = feed_.next();
    loaded_ = next == CaptureFeed::Next::packet;
    if (loaded_) schedule(feed_.packet().time, now);
  }

  // True where that was the last time; a file without frames has no more the next time.
  bool end_loop() {
    ended_ = --loops_left_ == 0 || !first_;
    first_.reset();
    if (!ended_) feed_ = open();
    return ended_;
  }

  // Ordinary subtraction could overflow: a capture says what it likes.
  void schedule(CaptureTime time, BridgePort::Time now) {
    if (!first_) {
      first_ = time;
      start_ = now;
    }
    const auto gap = static_cast<std::uint64_t>(time.time_since_epoch().count()) -
                     static_cast<std::uint64_t>(first_->time_since_epoch().count());
    due_ = options_.top_speed || time < *first_ ? now : start_ + nanoseconds(std::min(gap, longest_gap));
  }

  PcapOptions options_;
  std::uint64_t loops_left_;
  CaptureFeed feed_;
  bool loaded_ = false, ended_ = false;
  std::optional<CaptureTime> first_;  // of the file's first frame
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

  bool arm(std::vector<pollfd>& descriptors) override {
    finish();
    if (source_) descriptors.push_back({source_->fd(), POLLIN, 0});
    return due() > std::chrono::steady_clock::now();
  }
  Time due() const override { return source_ ? source_->due() : Time::max(); }

 private:
  // The feed keeps one frame at a time, so a burst is a copy.
  void take(std::vector<Frame>& frames) override {
    if (!source_) return;
    const Time now = std::chrono::steady_clock::now();
    std::size_t used = 0;
    for (std::size_t i = 0; i < pcap_burst && source_->ready(now); ++i, source_->next()) {
      const auto& [time, data, original_size] = source_->frame();
      if (data.size() != original_size || data.size() > max_packet) {  // cut off when it was captured
        ++counters_.rx_dropped;
        continue;
      }
      const auto room = std::span(memory_).subspan(used, data.size());
      std::ranges::copy(std::as_bytes(data), room.begin());
      frames.emplace_back(room);
      used += data.size();
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
  std::vector<std::byte> memory_ = std::vector<std::byte>(pcap_burst * max_packet);
  Capture format_;
  std::unique_ptr<pcap_dumper_t, CloseCapture> output_;
};

}  // namespace

std::unique_ptr<BridgePort> open_port(const PcapOptions& options) { return std::make_unique<PcapPort>(options); }

}  // namespace memif::tool
