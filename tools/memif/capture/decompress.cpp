#include "capture/decompress.hpp"

#define ZLIB_CONST

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <utility>
#include <zlib.h>
#include <zstd.h>

namespace memif::tool {
namespace {

constexpr std::size_t input_size = std::size_t{64} * 1024;

// Captures shrink to a tenth, or to a hundredth if all their packets are alike; the format of gzip allows a thousandth.
// What comes of less is made to fill a disk.
constexpr std::uint64_t always_allowed = std::uint64_t{64} << 20, most_growth = 2000;

// zstd looks back so far at most: its memory for a stream.
constexpr int longest_window_log2 = 27;

}  // namespace

// One kind of compression.
class Decompressor {
 public:
  struct Step {
    std::size_t used, made;
    bool ended;  // the stream has; another may follow
    const char* wrong;
  };
  virtual ~Decompressor() = default;
  virtual Step step(const char* from, std::size_t size, char* to, std::size_t room) = 0;
  virtual bool within_a_stream() const noexcept = 0;
};

namespace {

class Gzip final : public Decompressor {
 public:
  Gzip() {
    constexpr int gzip_only = 16;
    if (::inflateInit2(&stream_, MAX_WBITS + gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() override { ::inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Step step(const char* from, std::size_t size, char* to, std::size_t room) override {
    if (std::exchange(ended_, false)) ::inflateReset(&stream_);
    stream_.next_in = reinterpret_cast<const Bytef*>(from);
    stream_.avail_in = static_cast<uInt>(size);
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(room);
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    ended_ = result == Z_STREAM_END;
    within_ = !ended_;
    const bool good = result == Z_OK || ended_ || result == Z_BUF_ERROR;
    const char* const wrong = good ? nullptr : stream_.msg != nullptr ? stream_.msg : "damaged data";
    return {size - stream_.avail_in, room - stream_.avail_out, ended_, wrong};
  }
  bool within_a_stream() const noexcept override { return within_; }

 private:
  z_stream stream_{};
  bool ended_ = false, within_ = true;
};

class Zstd final : public Decompressor {
 public:
  Zstd() : stream_(::ZSTD_createDStream(), ::ZSTD_freeDStream) {
    if (stream_ == nullptr) throw std::bad_alloc();
    ::ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, longest_window_log2);
  }

  Step step(const char* from, std::size_t size, char* to, std::size_t room) override {
    ZSTD_inBuffer in{from, size, 0};
    ZSTD_outBuffer out{to, room, 0};
    const std::size_t result = ::ZSTD_decompressStream(stream_.get(), &out, &in);
    const bool good = ::ZSTD_isError(result) == 0;
    within_ = result != 0;
    return {in.pos, out.pos, good && !within_, good ? nullptr : ::ZSTD_getErrorName(result)};
  }
  bool within_a_stream() const noexcept override { return within_; }

 private:
  std::unique_ptr<ZSTD_DStream, decltype(&::ZSTD_freeDStream)> stream_;
  bool within_ = true;
};

constexpr std::string_view gzip_magic("\x1f\x8b", 2), zstd_magic("\x28\xb5\x2f\xfd", 4);

}  // namespace

bool is_compressed(std::string_view head) noexcept {
  return head.starts_with(gzip_magic) || head.starts_with(zstd_magic);
}

Decompressed::Decompressed(ReadSome raw) : raw_(std::move(raw)), input_(std::make_unique<char[]>(input_size)) {}
Decompressed::~Decompressed() = default;

// More input behind what is there. False at its end, or if it cannot be read.
bool Decompressed::refill() {
  if (raw_ended_) return false;
  if (at_ == end_) at_ = end_ = 0;
  const ssize_t got = raw_(input_.get() + end_, input_size - end_);
  raw_failed_ = got < 0;
  raw_ended_ = got == 0;
  if (got <= 0) return false;
  end_ += static_cast<std::size_t>(got);
  return true;
}

// Looks at the first bytes; false if they cannot be read.
bool Decompressed::begin() {
  while (end_ < zstd_magic.size())
    if (!refill()) break;
  if (raw_failed_) return false;
  begun_ = true;
  const std::string_view head(input_.get(), end_);
  if (head.starts_with(gzip_magic))
    decompressor_ = std::make_unique<Gzip>();
  else if (head.starts_with(zstd_magic))
    decompressor_ = std::make_unique<Zstd>();
  return true;
}

ssize_t Decompressed::read(char* to, std::size_t size) noexcept try {
  if (!begun_ && !begin()) return -1;
  return decompressor_ ? read_compressed(to, size) : read_plain(to, size);
} catch (const std::exception&) {
  errno = ENOMEM;
  return -1;
}

ssize_t Decompressed::read_plain(char* to, std::size_t size) {
  if (at_ == end_) return raw_ended_ ? 0 : raw_(to, size);
  const std::size_t part = std::min(size, end_ - at_);
  std::memcpy(to, input_.get() + at_, part);
  at_ += part;
  return static_cast<ssize_t>(part);
}

ssize_t Decompressed::read_compressed(char* to, std::size_t size) {
  for (;;) {
    if (at_ == end_ && !decompressor_->within_a_stream() && !refill()) return raw_failed_ ? -1 : 0;
    const Decompressor::Step step = decompressor_->step(input_.get() + at_, end_ - at_, to, size);
    if (step.wrong != nullptr) return fail(step.wrong);
    at_ += step.used;
    taken_ += step.used;
    given_ += step.made;
    if (given_ > always_allowed && given_ / most_growth > taken_)
      return fail("it grows more than 2000-fold, as no capture does, and is taken for made to fill memory or disks");
    if (step.made != 0) return static_cast<ssize_t>(step.made);
    if (step.ended || (at_ != end_ && step.used != 0)) continue;
    if (!refill()) return raw_failed_ ? -1 : fail("it is truncated");
  }
}

ssize_t Decompressed::fail(const std::string& why) {
  why_ = "compressed data: " + why;
  errno = EBADMSG;
  return -1;
}

}  // namespace memif::tool
