// A capture that comes through a pipe, read by a thread of its own: libpcap waits for each packet until it is whole.
#pragma once

#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

#include <memif/fd.hpp>

#include "capture/reader.hpp"

namespace memif::tool {

// All but the thread's own functions are for one thread, the user's.
class CapturePipe {
 public:
  // `input` is read until the end or until this goes. Throws std::system_error.
  CapturePipe(Fd input, const std::string& name);
  ~CapturePipe();
  CapturePipe(const CapturePipe&) = delete;
  CapturePipe& operator=(const CapturePipe&) = delete;

  // The next packet, good until the next call; nothing while none is there. Throws what the thread met, after all that
  // came before.
  std::optional<CapturedPacket> next();
  bool ended() const noexcept { return ended_; }  // next() will have nothing more

  // The reader as it is after the head of the file; null before that, or if the head is none. Waits if told so.
  const CaptureReader* reader(bool wait);

  int fd() const noexcept { return news_.get(); }  // readable while next() has something to tell

 private:
  // What was read at once, one after the other.
  struct Chunk {
    struct Packet {
      CaptureTime time;
      std::size_t size, original_size;
    };
    std::vector<Packet> packets;
    Bytes bytes;
  };

  void read_all(const std::string& name) noexcept;
  void read_packets(const std::string& name);
  ssize_t read(char* to, std::size_t size) noexcept;
  bool hand_over();
  void tell() noexcept;

  const Fd input_, news_, stop_;

  // The thread's own.
  Chunk filling_;
  std::optional<CaptureReader> reader_;  // after head_, also the user's to ask what the head says

  // Between the two.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Chunk> handed_;
  bool head_ = false, done_ = false, stopping_ = false;
  std::exception_ptr trouble_;

  // The user's own.
  Chunk taken_;
  std::size_t at_ = 0, offset_ = 0;  // in taken_
  bool ended_ = false;

  std::thread thread_;
};

}  // namespace memif::tool
