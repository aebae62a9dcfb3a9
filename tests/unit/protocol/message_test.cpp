// Messages from bytes written by hand, and back. docs/protocol.md, "Messages".
#include "protocol/message.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <initializer_list>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace memif::message {
namespace {

// A datagram put together byte by byte, zero where nothing is written.
class Builder {
 public:
  Builder& at(std::size_t offset, std::initializer_list<int> values) {
    for (int value : values) bytes_[offset++] = static_cast<std::byte>(value);
    return *this;
  }
  Builder& at(std::size_t offset, std::string_view text) {
    std::memcpy(bytes_.data() + offset, text.data(), text.size());
    return *this;
  }
  const Bytes& get() const { return bytes_; }

 private:
  Bytes bytes_{};
};

struct Sample {
  const char* name;
  bool fd;
  Message message;
  Bytes bytes;
};

Secret secret_of(std::string_view text) { return to_secret(text); }

std::vector<Sample> samples() {
  return {
      {"ACK", false, Ack{}, Builder{}.at(0, {1, 0}).get()},
      {"HELLO", false, Hello{"router", 0x0200, 0x0201, 0x0102, 0x0304, 0x0506, 14},
       Builder{}.at(0, {2, 0}).at(2, "router").at(34, {0, 2, 1, 2, 2, 1, 4, 3, 6, 5, 14}).get()},
      {"INIT", false, Init{0x0200, 0x11223344, Mode::punt_inject, secret_of("open sesame"), "tester"},
       Builder{}.at(0, {3, 0, 0, 2, 0x44, 0x33, 0x22, 0x11, 2}).at(9, "open sesame").at(33, "tester").get()},
      {"ADD_REGION", true, AddRegion{0x0203, 0x1122334455667788},
       Builder{}.at(0, {4, 0, 3, 2, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}).get()},
      {"ADD_RING", true, AddRing{true, 0x0102, 0x0304, 0x55667788, 10, 0x090a},
       Builder{}.at(0, {5, 0, 1, 0, 2, 1, 4, 3, 0x88, 0x77, 0x66, 0x55, 10, 0x0a, 9}).get()},
      {"ADD_RING", true, AddRing{false, 7, 0, 16, 1, 0},
       Builder{}.at(0, {5, 0, 0, 0, 7, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0}).get()},
      {"CONNECT", false, Connect{"memif0/0"}, Builder{}.at(0, {6, 0}).at(2, "memif0/0").get()},
      {"CONNECTED", false, Connected{"memif1/7"}, Builder{}.at(0, {7, 0}).at(2, "memif1/7").get()},
      {"DISCONNECT", false, Disconnect{0x01020304, "bye"}, Builder{}.at(0, {8, 0, 4, 3, 2, 1}).at(6, "bye").get()},
  };
}

std::error_code parse_error(std::span<const std::byte> bytes) {
  const Result<Message> result = parse(bytes);
  return result ? std::error_code{} : result.error().code;
}

TEST(Message, EveryMessageHasASample) {
  std::set<std::size_t> kinds;
  for (const Sample& sample : samples()) kinds.insert(sample.message.index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<Message>);
}

TEST(Message, EveryMessageIsReadFromItsBytes) {
  for (const Sample& sample : samples()) {
    const Result<Message> parsed = parse(sample.bytes);
    ASSERT_TRUE(parsed) << sample.name << ": " << parsed.error().message;
    EXPECT_TRUE(*parsed == sample.message) << sample.name;
  }
}

TEST(Message, EveryMessageIsWrittenToItsBytesAndTheRestIsZero) {
  for (const Sample& sample : samples()) EXPECT_EQ(emit(sample.message), sample.bytes) << sample.name;
}

TEST(Message, KnowsItsNameAndWhetherItCarriesADescriptor) {
  for (const Sample& sample : samples()) {
    EXPECT_STREQ(name(sample.message), sample.name);
    EXPECT_EQ(fds_of(sample.message), sample.fd ? 1u : 0u) << sample.name;
  }
}

TEST(Message, Only128BytesAreAMessage) {
  const std::vector<std::byte> bytes(512, std::byte{1});
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    if (size == message::size) continue;
    EXPECT_EQ(parse_error(std::span(bytes).first(size)), Errc::malformed_message) << size;
  }
  EXPECT_EQ(parse_error({}), Errc::malformed_message);
}

TEST(Message, UnknownTypesAreRefusedByNumber) {
  for (int type : {0, 9, 10, 255, 256, 257, 0x0800, 0xffff}) {
    const auto bytes = Builder{}.at(0, {type & 0xff, type >> 8}).get();
    const Result<Message> parsed = parse(bytes);
    ASSERT_FALSE(parsed) << type;
    EXPECT_EQ(parsed.error().code, Errc::unknown_message);
    EXPECT_NE(parsed.error().message.find(std::to_string(type)), std::string::npos) << parsed.error().message;
  }
}

TEST(Message, UnusedBytesAreNotLookedAt) {
  Bytes bytes = Builder{}.at(0, {1, 0}).get();
  std::fill(bytes.begin() + 2, bytes.end(), std::byte{0xee});
  const Result<Message> parsed = parse(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(*parsed == Message(Ack{}));
}

TEST(Message, NamesMayFillTheirFieldWithoutANul) {
  const std::string full(name_size, 'n');
  const auto bytes = Builder{}.at(0, {6, 0}).at(2, full).at(34, "beyond the field").get();
  EXPECT_EQ(std::get<Connect>(*parse(bytes)).interface_name, full);

  const std::string reason(reason_size, 'r');
  const auto disconnect = Builder{}.at(0, {8, 0}).at(6, reason).at(102, "beyond the field").get();
  EXPECT_EQ(std::get<Disconnect>(*parse(disconnect)).text, reason);
}

TEST(Message, NamesEndAtTheFirstNul) {
  const auto bytes = Builder{}.at(0, {7, 0}).at(2, "a").at(4, "left over").get();
  EXPECT_EQ(std::get<Connected>(*parse(bytes)).interface_name, "a");
}

TEST(Message, LongStringsAreCutAtTheirField) {
  const std::string text(200, 'x');
  const auto bytes = emit(Disconnect{1, text});
  EXPECT_EQ(std::get<Disconnect>(*parse(bytes)).text, text.substr(0, reason_size));
  EXPECT_TRUE(std::all_of(bytes.begin() + 102, bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_EQ(std::get<Connect>(*parse(emit(Connect{text}))).interface_name, text.substr(0, name_size));

  const auto init = emit(Init{0x0200, 0, Mode::ethernet, to_secret(std::string(30, 's')), text});
  EXPECT_EQ(std::get<Init>(*parse(init)).name, text.substr(0, name_size));
  EXPECT_EQ(std::get<Init>(*parse(init)).secret.back(), 's');
}

TEST(Message, TerminalEscapesInNamesAndReasonsAreMadeHarmless) {
  const std::string_view hostile = "a\x1b[2J\r\n\t\x7f\xc2\x9b\xff z";
  const std::string harmless =
      "a?[2J???????"
      " z";
  const auto check = [&](const Bytes& bytes, auto field) { EXPECT_EQ(field(*parse(bytes)), harmless); };
  check(Builder{}.at(0, {2, 0}).at(2, hostile).get(), [](const Message& m) { return std::get<Hello>(m).name; });
  check(Builder{}.at(0, {3, 0}).at(33, hostile).get(), [](const Message& m) { return std::get<Init>(m).name; });
  check(Builder{}.at(0, {6, 0}).at(2, hostile).get(),
        [](const Message& m) { return std::get<Connect>(m).interface_name; });
  check(Builder{}.at(0, {7, 0}).at(2, hostile).get(),
        [](const Message& m) { return std::get<Connected>(m).interface_name; });
  check(Builder{}.at(0, {8, 0}).at(6, hostile).get(), [](const Message& m) { return std::get<Disconnect>(m).text; });
}

TEST(Message, SecretsAreKeptByteForByte) {
  std::string binary;
  for (int i = 0; i < static_cast<int>(secret_size); ++i) binary += static_cast<char>(i * 11);
  const auto bytes = Builder{}.at(0, {3, 0}).at(9, binary).get();
  const Secret secret = std::get<Init>(*parse(bytes)).secret;
  EXPECT_EQ(std::string(secret.begin(), secret.end()), binary);
}

TEST(Message, ModesThatDoNotExistAreRefused) {
  for (int mode = 0; mode < 256; ++mode) {
    const auto bytes = Builder{}.at(0, {3, 0}).at(8, {mode}).get();
    EXPECT_EQ(parse_error(bytes), mode <= 2 ? std::error_code{} : make_error_code(Errc::malformed_message)) << mode;
  }
}

TEST(Message, UnknownRingFlagsAreIgnored) {
  const auto flags = [](int low, int high) { return Builder{}.at(0, {5, 0, low, high}).get(); };
  EXPECT_TRUE(std::get<AddRing>(*parse(flags(0xff, 0xff))).s2m);
  EXPECT_FALSE(std::get<AddRing>(*parse(flags(0xfe, 0xff))).s2m);
}

TEST(Message, WhateverBytesArriveReadingAndWritingAgree) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes;
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    bytes[0] = static_cast<std::byte>(random() % 10);
    bytes[1] = std::byte{0};
    const Result<Message> once = parse(bytes);
    if (!once) continue;
    const Result<Message> twice = parse(emit(*once));
    ASSERT_TRUE(twice);
    EXPECT_TRUE(*once == *twice) << name(*once);
  }
}

}  // namespace
}  // namespace memif::message
