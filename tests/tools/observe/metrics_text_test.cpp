#include "observe/metrics_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memif::tool {
namespace {

using testing::HasSubstr;
using testing::Not;

ObservedInterface an_interface() {
  ObservedInterface seen;
  seen.program.pid = 12;
  seen.socket = R"(a"b\c)";
  seen.id = 3;
  seen.rx.resize(2);
  seen.tx.resize(1);
  return seen;
}

TEST(MetricsText, LabelsAreEscaped) {
  EXPECT_THAT(metrics_text({.interfaces = {an_interface()}}),
              HasSubstr(R"(memif_up{pid="12",socket="a\"b\\c",id="3",role="client"} 0)"));
}

TEST(MetricsText, EveryQueueHasItsCounters) {
  auto seen = an_interface();
  seen.rx[1].totals = {.packets = 7, .dropped_long = 2, .dropped_oversize = 5};
  const std::string text = metrics_text({.interfaces = {seen}});
  EXPECT_THAT(text, HasSubstr("role=\"client\",queue=\"1\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("queue=\"1\",reason=\"long\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("queue=\"1\",reason=\"oversize\"} 5\n"));
}

TEST(MetricsText, EachFamilyIsIntroducedOnce) {
  const std::string text = metrics_text({.interfaces = {an_interface(), an_interface()}});
  const std::string introduction = "# TYPE memif_rx_packets_total counter\n";
  const auto first = text.find(introduction);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(text.find(introduction, first + 1), std::string::npos);
}

TEST(MetricsText, AQueueThatIsDownHasNoRing) {
  EXPECT_THAT(metrics_text({.interfaces = {an_interface()}}), Not(HasSubstr("memif_rx_ring_size{")));
}

TEST(MetricsText, LargeCountersKeepAllDigits) {
  auto seen = an_interface();
  seen.tx[0].totals.bytes = 18446744073709551615u;
  EXPECT_THAT(metrics_text({.interfaces = {seen}}), HasSubstr(" 18446744073709551615\n"));
}

}  // namespace
}  // namespace memif::tool
