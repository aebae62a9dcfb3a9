// The files of a capture: one, or several in turn, named as dumpcap or tcpdump names them.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <memif/event_loop.hpp>

#include "capture/conditions.hpp"
#include "capture/file.hpp"

namespace memif::tool {

// How files that are written in turn are called, and what happens to them then.
struct CaptureNaming {
  enum class Style { dumpcap, tcpdump } style = Style::dumpcap;
  // Of tcpdump's:
  bool by_time = false;    // the path is a format of strftime(3)
  bool counted = false;    // with a number behind it
  std::uint64_t wrap = 0;  // so many numbers in turn; 0: no limit
  std::string command{};   // run with the name of each file that is complete
};

// A file that is full is closed at once; the next one begins with the next packet. All throw Failure.
class CaptureFiles {
 public:
  // `change` says when a file is full, and how many are kept (files; the oldest is removed); without any condition
  // there is one file, called `path` ("-": standard output). `statistics` fills what a file ends with, for each
  // interface.
  CaptureFiles(std::string path, const CaptureConditions& change, const std::vector<pcapng::Description>& interfaces,
               std::function<std::vector<pcapng::Statistics>()> statistics, const CaptureKind& kind = {},
               CaptureNaming naming = {});

  std::span<std::uint8_t> room() noexcept { return file_.room(); }
  void packet(const pcapng::PacketRecord& packet);

  void flush();  // also closes a file whose time is over
  void close();
  void check_reader() const { file_.check_reader(); }

  std::uint64_t begun() const noexcept { return begun_; }
  std::uint64_t finished() const noexcept { return finished_; }
  std::uint64_t bytes() const noexcept { return closed_bytes_ + (file_.is_open() ? file_.bytes() : 0); }
  // Those that are there, the oldest first.
  const std::deque<std::string>& names() const noexcept { return names_; }
  // When the present file is full, whatever comes.
  Clock::time_point due() const noexcept { return due_; }

 private:
  void begin();
  std::string next_name();
  bool ring() const noexcept { return change_.change_file(); }

  std::string path_;
  CaptureConditions change_;
  const CaptureNaming naming_;
  std::function<std::vector<pcapng::Statistics>()> statistics_;
  CaptureFile file_;
  std::uint64_t number_ = 0;  // the next file's, where they are counted
  std::uint64_t begun_ = 0, finished_ = 0, packets_ = 0, closed_bytes_ = 0;
  Clock::time_point due_ = Clock::time_point::max();
  std::deque<std::string> names_;
};

}  // namespace memif::tool
