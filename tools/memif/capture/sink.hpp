// Where captured packets go: to the screen, as text or JSON, and to files; what is counted of them, and when it is
// enough.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <memif/config.hpp>

#include "capture/describe.hpp"
#include "capture/files.hpp"
#include "capture/filter.hpp"
#include "capture/options.hpp"

namespace memif::tool {

// Something that packets come from, and what became of them.
struct CaptureSource {
  std::string name;
  Mode mode = Mode::ethernet;
  std::uint64_t dropped = 0;  // set by whoever captures: packets that could not be read
  // Only where the packets are passed on:
  bool passes_on = false;
  std::uint64_t passed_on = 0, not_passed_on = 0;
  // Only where a link of others is looked at:
  bool tapped = false;
  std::uint64_t missed = 0;    // of `dropped`: overwritten before they were read
  std::uint64_t inferred = 0;  // packets whose length is what their headers say

  std::uint64_t received = 0, captured = 0;
};

// What ended a capture.
enum class CaptureEnd { signal, packets, file_size, files, duration, end_of_file, link_down, gone };

// One thread. All throw Failure when there is nowhere to write to.
class CaptureSink {
 public:
  // Throws UsageError for options that contradict each other. Opens the file.
  CaptureSink(const CaptureOptions& options, std::vector<CaptureSource> sources);

  CaptureSource& source(std::size_t i) { return sources_[i]; }

  // Where the first bytes of the next packet go, and how many of them are of use.
  std::span<std::uint8_t> room() noexcept;
  // Takes the packet whose first `size` bytes are in room(), if the filter wants it. `total`: its length.
  void take(std::size_t source, CaptureTime time, std::size_t size, std::size_t total,
            Direction direction = Direction::unknown);

  // Begins to count the time of -a duration:.
  void start();
  // Whether a condition for the end is met. Time is looked at by expired().
  bool enough() const noexcept;
  bool expired() const noexcept { return Clock::now() >= deadline_; }
  // Whether there is any such condition.
  bool limited() const noexcept { return stop_.files != 0 || stop_.change_file(); }
  // The condition that is met.
  std::optional<CaptureEnd> end() const noexcept;

  // Call from time to time: writes what is due, and tells of progress on a terminal.
  void tick();
  Clock::time_point next_tick() const noexcept;

  // The file is complete after this.
  void close();
  // The summary.
  void report(CaptureEnd end);

 private:
  void print(std::size_t source, const pcapng::PacketRecord& packet, View bytes);
  void print_bytes(Mode mode, View bytes) const;
  void progress();
  void report_text(std::uint64_t received, std::uint64_t dropped) const;
  void report_json(CaptureEnd end, std::uint64_t received, std::uint64_t dropped) const;

  CaptureOptions options_;
  CaptureConditions stop_;
  std::size_t snap_length_;
  std::vector<CaptureSource> sources_;
  std::vector<std::unique_ptr<Filter>> filters_;  // of each source
  bool on_screen_;
  TimeColumn time_;
  std::uint64_t captured_ = 0;
  CaptureTime start_;
  Clock::time_point begin_ = Clock::now(), deadline_ = Clock::time_point::max(), last_tick_{}, last_progress_{};
  bool progress_shown_ = false;
  std::optional<CaptureFiles> files_;
  Bytes copy_;  // without a file
};

}  // namespace memif::tool
