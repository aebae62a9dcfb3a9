// Compressing captures as they are written, by gzip or zstd.
#pragma once

#include <memory>
#include <string>

#include "net/codec.hpp"

namespace memif::tool {

enum class Compression { none, gzip, zstd };

// By the end of a file's name: .gz, .zst.
Compression compression_of(const std::string& path);

// Makes a whole compressed stream of each piece. Readers take several in a row for one, so that a file can be read up
// to the last piece that was written, whatever ended the program.
class Compressor {
 public:
  virtual ~Compressor() = default;
  // Valid until the next call. Throws Failure (there is no memory).
  virtual View compress(View piece) = 0;
};

std::unique_ptr<Compressor> make_compressor(Compression compression);  // null: none

}  // namespace memif::tool
