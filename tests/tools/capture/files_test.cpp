#include "capture/files.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <unistd.h>

#include "capture/conditions.hpp"
#include "capture/names.hpp"

namespace memif::tool {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class CaptureFilesTest : public testing::Test {
 protected:
  CaptureFilesTest() : dir_(fs::path(testing::TempDir()) / ("memif-capture-" + std::to_string(::getpid()))) {
    fs::create_directories(dir_);
  }
  ~CaptureFilesTest() override { fs::remove_all(dir_); }

  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  CaptureFiles files(const CaptureConditions& change) {
    return {path("out.pcapng"), change, {{1, 65535, "test", "arp"}}, [] { return std::vector<pcapng::Statistics>(1); }};
  }

  static void add(CaptureFiles& files, std::size_t size) {
    std::fill_n(files.room().begin(), size, std::uint8_t{0xab});
    files.packet({.size = size, .original_size = size});
  }

  // Types of the blocks of a file, which must be whole.
  static std::vector<std::uint32_t> blocks(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    const Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    std::vector<std::uint32_t> types;
    for (std::size_t at = 0; at < bytes.size();) {
      std::uint32_t type = 0, length = 0, again = 0;
      if (at + 12 > bytes.size()) throw std::runtime_error("a part of a block");
      std::memcpy(&type, &bytes[at], 4);
      std::memcpy(&length, &bytes[at + 4], 4);
      if (length % 4 != 0 || at + length > bytes.size()) throw std::runtime_error("a part of a block");
      std::memcpy(&again, &bytes[at + length - 4], 4);
      if (length != again) throw std::runtime_error("two lengths");
      types.push_back(type);
      at += length;
    }
    return types;
  }

  std::vector<std::string> listing() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir_)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path dir_;
};

constexpr std::uint32_t section = 0x0a0d0d0a, interface = 1, statistics = 5, packet = 6;

TEST_F(CaptureFilesTest, OneFileIsAChainOfWholeBlocks) {
  CaptureFiles one = files({});
  constexpr std::size_t packets = 3000;  // more than the buffer holds
  for (std::size_t i = 0; i < packets; ++i) add(one, i);
  one.close();
  const auto types = blocks(path("out.pcapng"));
  EXPECT_EQ(std::count(types.begin(), types.end(), packet), packets);
  EXPECT_EQ(types.back(), statistics);
  EXPECT_EQ(fs::file_size(path("out.pcapng")), one.bytes());
}

TEST_F(CaptureFilesTest, AFullFileIsClosedAndTheNextBeginsWithAPacket) {
  CaptureFiles ring = files({.packets = 2});
  for (int i = 0; i < 4; ++i) add(ring, 60);
  EXPECT_EQ(ring.begun(), 2u);  // no third file that would have nothing
  EXPECT_EQ(ring.finished(), 2u);
  add(ring, 60);
  ring.close();
  ASSERT_EQ(ring.names().size(), 3u);
  EXPECT_THAT(blocks(ring.names()[0]), ElementsAre(section, interface, packet, packet, statistics));
  EXPECT_THAT(blocks(ring.names()[1]), ElementsAre(section, interface, packet, packet, statistics));
  EXPECT_THAT(blocks(ring.names()[2]), ElementsAre(section, interface, packet, statistics));
}

TEST_F(CaptureFilesTest, OnlyTheLastFilesAreKept) {
  CaptureFiles ring = files({.packets = 1, .files = 2});
  for (int i = 0; i < 5; ++i) add(ring, 60);
  ring.close();
  const auto names = listing();
  ASSERT_EQ(names.size(), 2u);
  EXPECT_THAT(names[0], testing::MatchesRegex("out_00004_[0-9]+\\.pcapng"));
  EXPECT_THAT(names[1], testing::MatchesRegex("out_00005_[0-9]+\\.pcapng"));
  EXPECT_EQ(ring.begun(), 5u);
}

TEST_F(CaptureFilesTest, AFileIsFullBySize) {
  CaptureFiles ring = files({.bytes = 10'000});
  for (int i = 0; i < 30; ++i) add(ring, 1000);
  ring.close();
  EXPECT_EQ(ring.names().size(), 3u);
  for (const std::string& name : ring.names()) EXPECT_LT(fs::file_size(name), 11'200u);
}

TEST_F(CaptureFilesTest, AFileIsFullByTime) {
  CaptureFiles ring = files({.duration = std::chrono::nanoseconds(1)});
  add(ring, 60);
  ring.flush();  // its time is over
  EXPECT_EQ(ring.finished(), 1u);
  add(ring, 60);
  EXPECT_EQ(ring.begun(), 2u);
}

TEST_F(CaptureFilesTest, AFullDiskIsTold) {
  try {
    CaptureFiles full("/dev/full", {}, {{}}, [] { return std::vector<pcapng::Statistics>(1); });
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), testing::HasSubstr("/dev/full: No space left on device"));
  }
}

TEST_F(CaptureFilesTest, SaysWhatCannotBeCreated) {
  try {
    CaptureFiles none("/nonexistent/x.pcapng", {}, {{}}, [] { return std::vector<pcapng::Statistics>(1); });
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), testing::HasSubstr("/nonexistent/x.pcapng"));
  }
}

TEST(RingName, NumberAndTimeGoBeforeTheEnding) {
  const CaptureTime time{std::chrono::nanoseconds(1'700'000'000'000'000'000)};
  EXPECT_THAT(ring_name("/a.b/out.pcapng", 7, time), testing::MatchesRegex("/a\\.b/out_00007_202311[0-9]+\\.pcapng"));
  EXPECT_THAT(ring_name("out", 100'000, time), testing::MatchesRegex("out_100000_202311[0-9]+"));
  EXPECT_THAT(ring_name("x.tar.pcapng", 1, time), testing::MatchesRegex("x\\.tar_00001_[0-9]+\\.pcapng"));
}

TEST(RingName, ACompressedFileHasTwoEndings) {
  const CaptureTime time{std::chrono::nanoseconds(1'700'000'000'000'000'000)};
  EXPECT_THAT(ring_name("out.pcapng.gz", 7, time), testing::MatchesRegex("out_00007_202311[0-9]+\\.pcapng\\.gz"));
}

TEST(CountedName, AsTcpdumpHasIt) {
  EXPECT_EQ(counted_name("out.pcap", 0, 0), "out.pcap");
  EXPECT_EQ(counted_name("out.pcap", 12, 0), "out.pcap12");
  EXPECT_EQ(counted_name("out.pcap", 0, 11), "out.pcap00");
  EXPECT_EQ(counted_name("out.pcap", 11, 11), "out.pcap00");
  EXPECT_EQ(counted_name("out.pcap", 3, 1), "out.pcap0");
}

TEST(CaptureConditions, AllKinds) {
  const auto all = parse_conditions("-b", {"duration:2s", "packets:10", "filesize:1KiB", "files:3"});
  EXPECT_EQ(all.duration, std::chrono::seconds(2));
  EXPECT_EQ(all.packets, 10u);
  EXPECT_EQ(all.bytes, 1024u);
  EXPECT_EQ(all.files, 3u);
  EXPECT_TRUE(all.change_file());
  EXPECT_FALSE(parse_conditions("-b", {"files:3"}).change_file());
}

TEST(CaptureConditions, Wrong) {
  for (const char* text : {"", "packets", "packets:", "packets:0", "packets:-1", "files:0", "filesize:0", "duration:0",
                           "duration:x", "size:3", "packets:1:2"})
    EXPECT_THROW(parse_conditions("-a", {text}), UsageError) << text;
  EXPECT_THROW(parse_conditions("-a", {"packets:1", "packets:2"}), UsageError);
}

}  // namespace
}  // namespace memif::tool
