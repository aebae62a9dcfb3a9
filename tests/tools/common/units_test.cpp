#include "common/units.hpp"

#include <gtest/gtest.h>

#include "common/command.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

TEST(Duration, HasUnits) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("2s"), 2s);
  EXPECT_EQ(parse_duration("1.5us"), 1500ns);
  EXPECT_EQ(parse_duration("7ns"), 7ns);
  EXPECT_EQ(parse_duration("2m"), 120s);
  EXPECT_EQ(parse_duration("1h"), 3600s);
}

TEST(Duration, PlainNumberIsSeconds) {
  EXPECT_EQ(parse_duration("3"), 3s);
  EXPECT_EQ(parse_duration("0.01"), 10ms);
  EXPECT_EQ(parse_duration("0"), 0ns);
}

TEST(Duration, RefusesNonsense) {
  for (const char* text : {"", "ms", "-1s", "1 s", "1parsec", "nan", "inf", "1e999", "0x10", "5s5", "9999999999h"})
    EXPECT_THROW(parse_duration(text), UsageError) << text;
}

TEST(Size, HasUnits) {
  EXPECT_EQ(parse_size("64"), 64u);
  EXPECT_EQ(parse_size("2KiB"), 2048u);
  EXPECT_EQ(parse_size("1.5MB"), 1'500'000u);
  EXPECT_EQ(parse_size("1GiB"), 1u << 30);
}

TEST(Size, RefusesNonsense) {
  for (const char* text : {"", "KiB", "-1", "1.5", "2kib", "1TiB", "99999999999999999999"})
    EXPECT_THROW(parse_size(text), UsageError) << text;
}

TEST(Rate, HasDecimalPrefixes) {
  EXPECT_DOUBLE_EQ(parse_packet_rate("10Mpps"), 1e7);
  EXPECT_DOUBLE_EQ(parse_packet_rate("250kpps"), 2.5e5);
  EXPECT_DOUBLE_EQ(parse_packet_rate("1000000"), 1e6);
  EXPECT_DOUBLE_EQ(parse_bit_rate("5Gbit/s"), 5e9);
  EXPECT_DOUBLE_EQ(parse_bit_rate("5Gbps"), 5e9);
  EXPECT_DOUBLE_EQ(parse_bit_rate("100M"), 1e8);
}

TEST(Rate, RefusesTheOtherUnit) {
  EXPECT_THROW(parse_packet_rate("5Gbps"), UsageError);
  EXPECT_THROW(parse_packet_rate("5Gbit/s"), UsageError);
  EXPECT_THROW(parse_bit_rate("5Mpps"), UsageError);
}

TEST(Percent, IsANumberWithOrWithoutItsSign) {
  EXPECT_EQ(parse_percent("--max-loss", ""), std::nullopt);
  EXPECT_EQ(parse_percent("--max-loss", "0.5%"), 0.5);
  EXPECT_EQ(parse_percent("--max-loss", "2"), 2.0);
  for (const char* text : {"%", "1k", "-1", "2pps"})
    EXPECT_THROW(parse_percent("--max-loss", text), UsageError) << text;
}

TEST(Number, IsWithinItsLimits) {
  EXPECT_EQ(parse_number("256", 1, 256), 256u);
  for (const char* text : {"0", "257", "", "1x", "-1", "1.0"}) EXPECT_THROW(parse_number(text, 1, 256), UsageError);
}

TEST(FormatDuration, ChoosesTheUnit) {
  EXPECT_EQ(format_duration(850ns), "850 ns");
  EXPECT_EQ(format_duration(12'340ns), "12.3 us");
  EXPECT_EQ(format_duration(1'250us), "1.25 ms");
  EXPECT_EQ(format_duration(5s), "5.00 s");
}

}  // namespace
}  // namespace memif::tool
