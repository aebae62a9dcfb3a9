#include "capture/compress.hpp"

#include <zlib.h>
#include <zstd.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

[[noreturn]] void fail() { throw Failure(exit_failed, "cannot compress the capture: out of memory"); }

class Gzip final : public Compressor {
 public:
  Gzip() {
    constexpr int gzip_header = 16, memory = 8, fast = 1;
    if (::deflateInit2(&stream_, fast, Z_DEFLATED, MAX_WBITS + gzip_header, memory, Z_DEFAULT_STRATEGY) != Z_OK) fail();
  }
  ~Gzip() override { ::deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  View compress(View piece) override {
    ::deflateReset(&stream_);
    out_.resize(::deflateBound(&stream_, piece.size()));
    stream_.next_in = const_cast<Bytef*>(piece.data());
    stream_.avail_in = static_cast<uInt>(piece.size());
    stream_.next_out = out_.data();
    stream_.avail_out = static_cast<uInt>(out_.size());
    if (::deflate(&stream_, Z_FINISH) != Z_STREAM_END) fail();
    return View(out_).first(out_.size() - stream_.avail_out);
  }

 private:
  z_stream stream_{};
  Bytes out_;
};

class Zstd final : public Compressor {
 public:
  Zstd() : context_(::ZSTD_createCCtx(), ::ZSTD_freeCCtx) {
    if (context_ == nullptr) fail();
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, 1);
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  View compress(View piece) override {
    out_.resize(::ZSTD_compressBound(piece.size()));
    const std::size_t size = ::ZSTD_compress2(context_.get(), out_.data(), out_.size(), piece.data(), piece.size());
    if (::ZSTD_isError(size) != 0) fail();
    return View(out_).first(size);
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&::ZSTD_freeCCtx)> context_;
  Bytes out_;
};

}  // namespace

Compression compression_of(const std::string& path) {
  if (path.ends_with(".gz")) return Compression::gzip;
  if (path.ends_with(".zst")) return Compression::zstd;
  return Compression::none;
}

std::unique_ptr<Compressor> make_compressor(Compression compression) {
  switch (compression) {
    case Compression::none:
      return nullptr;
    case Compression::gzip:
      return std::make_unique<Gzip>();
    case Compression::zstd:
      return std::make_unique<Zstd>();
  }
  return nullptr;
}

}  // namespace memif::tool
