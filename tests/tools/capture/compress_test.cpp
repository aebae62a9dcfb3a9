// Compressed captures: what was written is read, in any pieces, and what is damaged or made to grow is refused in
// words.
#include "capture/compress.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <string>

#include "capture/decompress.hpp"

namespace memif::tool {
namespace {

using testing::HasSubstr;

// Gives so many bytes at once.
ReadSome reading(std::string data, std::size_t at_once) {
  return [data = std::move(data), at_once, at = std::size_t{0}](char* to, std::size_t size) mutable {
    const std::size_t part = std::min({size, at_once, data.size() - at});
    std::memcpy(to, data.data() + at, part);
    at += part;
    return static_cast<ssize_t>(part);
  };
}

struct Outcome {
  std::string data, why;
  int error = 0;
};

Outcome decompressed(const std::string& data, std::size_t at_once = 1 << 20, std::size_t most = 1 << 24) {
  Decompressed input(reading(data, at_once));
  Outcome outcome;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = input.read(piece.data(), piece.size());
    if (got < 0) outcome.error = errno;
    if (got <= 0 || outcome.data.size() > most) break;
    outcome.data.append(piece.data(), static_cast<std::size_t>(got));
  }
  outcome.why = input.why();
  return outcome;
}

std::string compressed(Compressor& compressor, const std::string& data) {
  const View out = compressor.compress(View(reinterpret_cast<const std::uint8_t*>(data.data()), data.size()));
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

class Compressed : public testing::TestWithParam<Compression> {
 protected:
  std::string compress(const std::string& data) { return compressed(*compressor_, data); }

  static std::string noise(std::size_t size) {
    std::mt19937 random(1);
    std::string data(size, '\0');
    for (char& byte : data) byte = static_cast<char>(random() % 16);
    return data;
  }

  std::unique_ptr<Compressor> compressor_ = make_compressor(GetParam());
};

TEST_P(Compressed, IsReadInAnyPieces) {
  const std::string data = noise(100'000), file = compress(data);
  EXPECT_LT(file.size(), data.size());
  for (const std::size_t at_once : {1u, 3u, 1000u, 1u << 20}) {
    const Outcome outcome = decompressed(file, at_once);
    EXPECT_EQ(outcome.error, 0) << outcome.why;
    EXPECT_EQ(outcome.data, data);
  }
}

TEST_P(Compressed, StreamsInARowAreOne) {
  const std::string file = compress("one ") + compress(noise(70'000)) + compress("") + compress(" three");
  for (const std::size_t at_once : {1u, 1u << 20})
    EXPECT_EQ(decompressed(file, at_once).data, "one " + noise(70'000) + " three");
}

TEST_P(Compressed, TruncatedAnywhereSaysSoAfterWhatIsThere) {
  const std::string data = noise(300), file = compress("first") + compress(data);
  const std::size_t first = compress("first").size();
  for (std::size_t size = 8; size != file.size(); ++size) {
    if (size == first) continue;
    const Outcome outcome = decompressed(file.substr(0, size));
    ASSERT_EQ(outcome.error, EBADMSG) << size;
    ASSERT_THAT(outcome.why, HasSubstr("truncated"));
    if (size > first) {
      ASSERT_EQ(outcome.data.substr(0, 5), "first");
    }
  }
}

TEST_P(Compressed, DamagedAnywhereEndsInWordsOrGivesData) {
  const std::string file = compress(noise(2000));
  for (std::size_t at = 0; at != file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    const Outcome outcome = decompressed(damaged);
    ASSERT_TRUE(outcome.error == 0 || !outcome.why.empty()) << at;
    if (at > 30 && at + 8 < file.size() && outcome.error == 0) {
      ASSERT_NE(outcome.data, noise(2000)) << at;
    }
  }
}

TEST(Decompressed, WhatGrowsWithoutMeasureIsRefused) {
  const std::string file = compressed(*make_compressor(Compression::zstd), std::string(std::size_t{256} << 20, '\0'));
  const Outcome outcome = decompressed(file, 1 << 20, std::size_t{1} << 30);
  EXPECT_EQ(outcome.error, EBADMSG);
  EXPECT_THAT(outcome.why, HasSubstr("2000-fold"));
  EXPECT_LT(outcome.data.size(), std::size_t{256} << 20);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Compressed, testing::Values(Compression::gzip, Compression::zstd));

TEST(Decompressed, AWindowThatTakesTooMuchMemoryIsRefused) {
  const unsigned char head[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00};  // a window of 2^30
  const Outcome outcome = decompressed({reinterpret_cast<const char*>(head), sizeof head});
  EXPECT_EQ(outcome.error, EBADMSG);
  EXPECT_THAT(outcome.why, HasSubstr("memory"));
}

TEST(Decompressed, WhatIsNotCompressedIsGivenAsItIs) {
  for (const std::string data : {"", "x", "\x1f", "plain text that is longer"})
    for (const std::size_t at_once : {1u, 100u}) EXPECT_EQ(decompressed(data, at_once).data, data);
}

TEST(CompressionOf, IsInTheName) {
  EXPECT_EQ(compression_of("a.pcapng.gz"), Compression::gzip);
  EXPECT_EQ(compression_of("a.zst"), Compression::zstd);
  EXPECT_EQ(compression_of("a.gz.pcapng"), Compression::none);
}

}  // namespace
}  // namespace memif::tool
