#include "perf/search.hpp"

#include <gtest/gtest.h>
#include <random>

#include "perf/throughput.hpp"

namespace memif::tool {
namespace {

// Trials until the search is over, of which those pass that `good` says.
template <class Good>
unsigned run(PeakSearch& search, Good good) {
  unsigned trials = 0;
  for (; const auto number = search.next(); ++trials) {
    if (trials == 1000) throw std::runtime_error("the search has no end");
    search.note(good(*number));
  }
  return trials;
}

TEST(PeakSearch, FindsTheBorderFromAnyGuess) {
  for (const double guess : {1.0, 700.0, 990.0, 1000.0, 1010.0, 5000.0, 100000.0})
    for (const double resolution : {0.001, 0.01, 0.1}) {
      PeakSearch search({.guess = guess, .resolution = resolution, .tries = 1});
      EXPECT_LT(run(search, [](double number) { return number <= 1000; }), 40u) << guess << ' ' << resolution;
      ASSERT_TRUE(search.found()) << guess << ' ' << resolution;
      EXPECT_LE(*search.found(), 1000);
      EXPECT_GE(*search.found() * (1 + resolution), 1000) << guess << ' ' << resolution;
      EXPECT_FALSE(search.limited());
    }
}

TEST(PeakSearch, GoesNoHigherThanAllowed) {
  PeakSearch search({.guess = 5000, .most = 800});
  run(search, [](double number) {
    EXPECT_LE(number, 800);
    return number <= 1000;
  });
  EXPECT_EQ(search.found(), 800);
  EXPECT_TRUE(search.limited());
}

TEST(PeakSearch, GivesUpWhereNothingPasses) {
  PeakSearch search({.guess = 1000});
  EXPECT_LT(run(search, [](double) { return false; }), 100u);
  EXPECT_FALSE(search.found());
}

TEST(PeakSearch, IsNotMisledByDisturbances) {
  std::mt19937 random(1);
  unsigned near = 0;
  for (int i = 0; i < 100; ++i) {
    PeakSearch search({.guess = 1000, .tries = 3});
    run(search,
        [&random](double number) { return number <= 1000 && random() % 10 < 7; });  // three of ten are disturbed
    near += search.found() && *search.found() > 970 ? 1 : 0;
  }
  EXPECT_GE(near, 80u);
  PeakSearch once({.guess = 1000, .tries = 2});
  once.note(false);
  EXPECT_EQ(once.next(), 1000);  // the same again
  once.note(false);
  EXPECT_LT(*once.next(), 1000);
}

PerfTally tally(std::uint64_t sent, std::uint64_t arrived) {
  PerfTally tally;
  tally.total.sent = sent;
  tally.total.arrived = arrived;
  tally.expected = sent;
  return tally;
}

TEST(ThroughputGoal, IsReachedByWhatIsSentAndArrives) {
  PerfResult result{.seconds = 2, .all = tally(2000, 1990)};
  EXPECT_FALSE(passes(result, {1000, 1000}, {"ndr", 0}, 0.01));
  EXPECT_TRUE(passes(result, {1000, 1000}, {"pdr", 0.5}, 0.01));
  EXPECT_FALSE(passes(result, {1000, 1000}, {"pdr", 0.4}, 0.01));
  EXPECT_FALSE(passes(result, {1200, 1200}, {"pdr", 0.5}, 0.01)) << "the peer took less than was offered";
  result.all.expected.reset();
  EXPECT_FALSE(passes(result, {1000, 1000}, {"pdr", 100}, 0.01)) << "nothing has come back";
}

TEST(ThroughputGoal, IsToBeReachedInEachDirection) {
  PerfResult result{.seconds = 1, .all = tally(3000, 2990), .directions = {tally(1000, 1000), tally(2000, 1990)}};
  EXPECT_TRUE(passes(result, {1000, 2000}, {"pdr", 0.5}, 0.01));
  EXPECT_FALSE(passes(result, {1000, 2000}, {"pdr", 0.4}, 0.01));
  EXPECT_FALSE(passes(result, {1000, 2100}, {"pdr", 0.5}, 0.01));
}

}  // namespace
}  // namespace memif::tool
