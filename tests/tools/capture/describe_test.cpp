#include "capture/describe.hpp"

#include <cstdlib>
#include <ctime>
#include <gtest/gtest.h>
#include <limits>

#include "capture/filter.hpp"

namespace memif::tool {
namespace {

CaptureTime at(std::int64_t ns) { return CaptureTime(std::chrono::nanoseconds(ns)); }

// A capture can name any time.
TEST(DescribeTime, OfTheFirstAndTheLastThatThereIs) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(TimeColumn(0)(at(std::numeric_limits<std::int64_t>::min())), "00:12:43.145224 ");
  EXPECT_EQ(TimeColumn(0)(at(std::numeric_limits<std::int64_t>::min() + 145'224'191)), "00:12:43.290448 ");
  EXPECT_EQ(TimeColumn(0)(at(-1)), "23:59:59.999999 ");
  EXPECT_EQ(TimeColumn(0)(at(-1'000'000'000)), "23:59:59.000000 ");
  EXPECT_EQ(TimeColumn(0)(at(0)), "00:00:00.000000 ");
  EXPECT_EQ(TimeColumn(0)(at(1'700'000'000'123'456'789)), "22:13:20.123456 ");
  EXPECT_EQ(TimeColumn(0)(at(std::numeric_limits<std::int64_t>::max())), "23:47:16.854775 ");
}

// The two furthest apart, whose difference is more than a signed number holds.
TEST(DescribeTime, BetweenTheFirstAndTheLastThatThereIs) {
  const CaptureTime first = at(std::numeric_limits<std::int64_t>::min()),
                    last = at(std::numeric_limits<std::int64_t>::max());
  TimeColumn since_the_first(5);
  EXPECT_EQ(since_the_first(first), " 00:00:00.000000 ");
  EXPECT_EQ(since_the_first(last), " 5124095:34:33.709551 ");
  TimeColumn since_the_last(3);
  since_the_last(last);
  EXPECT_EQ(since_the_last(first), "-5124095:34:33.709551 ");
  EXPECT_EQ(since_the_last(at(std::numeric_limits<std::int64_t>::min() + 1000)), " 00:00:00.000001 ");
}

TEST(Filter, OfAPacketThatIsLongerThan32BitsTell) {
  const Filter filter("greater 1000", Mode::ethernet);
  const Bytes head(64);
  EXPECT_TRUE(filter.matches(head, (std::size_t{1} << 32) + 64));
  EXPECT_FALSE(filter.matches(head, 64));
}

}  // namespace
}  // namespace memif::tool
