// A capture read beside other work: what a pipe does not have yet is told, and not waited for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "capture/reader.hpp"

namespace memif::tool {

class CapturePipe;

class CaptureFeed {
 public:
  // "-": standard input. Throws Failure; but of what has no end that is known (a pipe, a terminal), next() tells.
  explicit CaptureFeed(const std::string& path);
  ~CaptureFeed();
  CaptureFeed(CaptureFeed&&) noexcept;
  CaptureFeed& operator=(CaptureFeed&&) noexcept;

  // Throws UsageError unless packets of this file are what a port of that mode carries: here, or in next().
  void require(Mode mode);

  // As of CaptureReader, whose head is waited for.
  Mode mode();

  enum class Next { packet, later, end };
  // What CaptureReader throws.
  Next next();
  const CapturedPacket& packet() const noexcept { return packet_; }  // after Next::packet, until next() is called again

  // After Next::later: becomes readable when next() has more to tell. -1: an ordinary file, which never says that.
  int fd() const noexcept;

  std::optional<double> part_read() const;  // as of CaptureReader

 private:
  std::optional<CaptureReader> file_;
  std::unique_ptr<CapturePipe> pipe_;  // or this
  std::optional<Mode> required_;
  CapturedPacket packet_;
};

}  // namespace memif::tool
