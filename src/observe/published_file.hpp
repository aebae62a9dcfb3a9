// Reading what a program publishes, as it lies in its memory file: into memory of our own, since what is mapped can
// make whoever touches it wait. docs/observing.md, "Layout".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include <memif/error.hpp>
#include <memif/stats.hpp>

#include "observe/process_file.hpp"
#include "observe/published.hpp"

namespace memif::detail {

// What is wrong with a publication.
Error damaged(const std::string& why);
Error out_of_range();

// A program may have been root when it made its file.
bool may_be_of(const Credentials& program, uid_t owner);

// All of these bytes, or false.
bool read_at(const ProcessFile& file, void* to, std::size_t size, std::uint64_t at);

// How long a file is that could be a publication.
Result<std::size_t> published_size(const ProcessFile& file);

// What an interface is from its beginning to its end. False: it is not there yet.
Result<bool> read_identity(const ProcessFile& file, published::Identity& identity);

// A publication as it was read: whole words of 8 bytes, each read once.
class PublishedCopy {
 public:
  explicit PublishedCopy(std::size_t size) : words_(size / 8) {}

  bool read(const ProcessFile& file) { return read_at(file, words_.data(), words_.size() * 8, 0); }

  template <class T>
  T at(std::size_t offset) const noexcept {
    static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(static_cast<void*>(&value), words_.data() + offset / 8, sizeof value);
    return value;
  }

 private:
  std::vector<std::uint64_t> words_;
};

// Reads what the control thread wrote from between two of its changes; the counters are of that moment or later. False
// if it died in the middle of one. What it waits for a change to end is taken from `patience`.
bool read_between_changes(const ProcessFile& file, PublishedCopy& copy, std::chrono::nanoseconds& patience);

}  // namespace memif::detail
