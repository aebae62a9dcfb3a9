// Captures that were compressed, by gzip or zstd, as they are read: a piece at a time. What is compressed is untrusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace memif::tool {

// As read(2): bytes, 0 at the end, -1 with errno.
using ReadSome = std::function<ssize_t(char* to, std::size_t size)>;

// Whether data that begins so is compressed in a way that is known here.
bool is_compressed(std::string_view head) noexcept;

class Decompressor;

// What `raw` gives, decompressed if its first bytes say that it is compressed; several compressed streams in a row are
// one. The memory that is needed has a limit, and so has what comes out of what goes in.
class Decompressed {
 public:
  explicit Decompressed(ReadSome raw);
  ~Decompressed();
  Decompressed(const Decompressed&) = delete;
  Decompressed& operator=(const Decompressed&) = delete;

  // As read(2); with an errno of EBADMSG, why() says what is wrong with the data.
  ssize_t read(char* to, std::size_t size) noexcept;
  const std::string& why() const noexcept { return why_; }

 private:
  bool begin();
  bool refill();
  ssize_t read_plain(char* to, std::size_t size);
  ssize_t read_compressed(char* to, std::size_t size);
  ssize_t fail(const std::string& why);

  ReadSome raw_;
  std::unique_ptr<char[]> input_;
  std::size_t at_ = 0, end_ = 0;  // of the input that was not used yet
  bool begun_ = false, raw_ended_ = false, raw_failed_ = false;
  std::uint64_t taken_ = 0, given_ = 0;
  std::unique_ptr<Decompressor> decompressor_;  // none: plain
  std::string why_;
};

}  // namespace memif::tool
