#include "observe/top_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memif::tool {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

ObservedInterface interface_named(const std::string& name) {
  ObservedInterface seen;
  seen.program.pid = 1;
  seen.app_name = "app";
  seen.name = name;
  seen.socket = "/run/" + name;
  seen.rx.resize(1);
  seen.tx.resize(1);
  return seen;
}

TEST(ShortNumber, FitsFiveCharactersAndKeepsThreeDigits) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(999), "999");
  EXPECT_EQ(short_number(1000), "1.00k");
  EXPECT_EQ(short_number(12345), "12.3k");
  EXPECT_EQ(short_number(999499), "999k");
  EXPECT_EQ(short_number(999500), "1.00M");
  EXPECT_EQ(short_number(14.88e6), "14.9M");
  EXPECT_EQ(short_number(100e9), "100G");
}

TEST(RateMeter, RatesAreDifferencesOverTime) {
  RateMeter meter;
  std::vector seen{interface_named("a")};
  const RateMeter::Time start{};
  EXPECT_THAT(meter.measure(seen, start).at(0), SizeIs(0));
  seen[0].rx[0].totals = {.packets = 100, .bytes = 6400, .dropped_long = 4, .dropped_oversize = 6};
  seen[0].tx[0].totals.ring_full = 10;
  const auto rates = meter.measure(seen, start + 2s).at(0).at(0);
  EXPECT_DOUBLE_EQ(rates.rx.packets, 50);
  EXPECT_DOUBLE_EQ(rates.bits(), 25600);
  EXPECT_DOUBLE_EQ(rates.rx.dropped_long, 2);
  EXPECT_DOUBLE_EQ(rates.rx.dropped_oversize, 3);
  EXPECT_DOUBLE_EQ(rates.drops(), 10);
}

TEST(RateMeter, AnInterfaceMadeAnewHasNoRatesYet) {
  RateMeter meter;
  std::vector seen{interface_named("a")};
  static_cast<void>(meter.measure(seen, RateMeter::Time(1s)));
  seen[0].started += 1s;
  EXPECT_THAT(meter.measure(seen, RateMeter::Time(2s)).at(0), SizeIs(0));
}

TEST(RateMeter, ACounterThatGoesBackIsNoRate) {
  RateMeter meter;
  std::vector seen{interface_named("a")};
  seen[0].rx[0].totals.packets = 5;
  static_cast<void>(meter.measure(seen, RateMeter::Time(1s)));
  seen[0].rx[0].totals.packets = 4;
  EXPECT_EQ(meter.measure(seen, RateMeter::Time(2s)).at(0).at(0).rx.packets, 0);
}

TEST(TopTable, ColumnsGoWhereTheyDoNotFit) {
  const std::vector seen{interface_named("a")};
  const std::vector<std::vector<QueueRates>> rates(1);
  for (std::size_t columns = 1; columns < 200; ++columns)
    for (const std::string& line : top_table(seen, rates, TopOrder::name, columns)) EXPECT_LE(line.size(), columns);
  EXPECT_THAT(top_table(seen, rates, TopOrder::name, 200)[0], AllOf(HasSubstr("buffer"), HasSubstr("SLEEP/s")));
  EXPECT_THAT(top_table(seen, rates, TopOrder::name, 80)[0], AllOf(HasSubstr("RX/s"), Not(HasSubstr("buffer"))));
}

TEST(TopTable, IsSorted) {
  const std::vector seen{interface_named("a"), interface_named("b"), interface_named("c")};
  std::vector<std::vector<QueueRates>> rates(3, std::vector<QueueRates>(1));
  rates[1][0].rx.packets = 10;
  rates[2][0].tx.ring_full = 1;
  const auto first = [&](TopOrder order) { return top_table(seen, rates, order, 200)[1]; };
  EXPECT_THAT(first(TopOrder::packets), HasSubstr(" b "));
  EXPECT_THAT(first(TopOrder::drops), HasSubstr(" c "));
  EXPECT_THAT(first(TopOrder::name), HasSubstr(" a "));
}

TEST(TopTable, WhatIsNotKnownIsADash) {
  EXPECT_THAT(top_table({interface_named("a")}, {{}}, TopOrder::name, 200)[1], HasSubstr(" - "));
}

}  // namespace
}  // namespace memif::tool
