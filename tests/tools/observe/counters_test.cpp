// The table of counters, what users see that is made from it, and the docs that list them.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <type_traits>

#include "observe/metrics_text.hpp"
#include "observe/observed.hpp"
#include "observe/top_table.hpp"

namespace memif::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Each counter its place in the table, beginning with 1.
template <class Totals>
Totals numbered() {
  Totals totals;
  std::uint64_t number = 0;
  for (const auto& counter : Totals::table) totals.*counter.value = ++number;
  return totals;
}

ObservedInterface an_interface() {
  ObservedInterface seen;
  seen.rx.push_back({.totals = numbered<RxTotals>(), .ring = {}});
  seen.tx.push_back({.totals = numbered<TxTotals>(), .ring = {}});
  return seen;
}

template <class Totals>
class CounterTable : public testing::Test {};
using Directions = testing::Types<RxTotals, TxTotals>;
TYPED_TEST_SUITE(CounterTable, Directions);

TYPED_TEST(CounterTable, HasEveryCounterOnce) {
  constexpr std::size_t counters = sizeof(TypeParam) / sizeof(std::uint64_t);
  const auto totals = numbered<TypeParam>();
  std::set<std::string> names;
  std::set<std::uint64_t> values;
  for (const auto& counter : TypeParam::table) {
    names.insert(counter.name);
    values.insert(totals.*counter.value);
  }
  EXPECT_EQ(std::size(TypeParam::table), counters);
  EXPECT_EQ(names.size(), counters);
  EXPECT_EQ(values.size(), counters);
}

TYPED_TEST(CounterTable, FitsWhereItIsShown) {
  for (const auto& counter : TypeParam::table) {
    EXPECT_LE(std::string(counter.column).size(), 7u) << counter.name;
    EXPECT_STRNE(counter.text, "") << counter.name;
    EXPECT_THAT(counter.help, testing::EndsWith(".")) << counter.name;
  }
}

// --- What users see; scripts and dashboards rely on it ---

TEST(Counters, InMetrics) {
  std::vector<std::string> lines;
  std::istringstream text(metrics_text({.interfaces = {an_interface()}}));
  for (std::string line; std::getline(text, line);)
    if (line.find("x_") != std::string::npos && line.find("ring_size") == std::string::npos &&
        line.find("ring_used") == std::string::npos && line[0] != '#') {
      const auto identity = line.find("pid="), queue = line.find("queue=");
      lines.push_back(line.substr(0, identity) + line.substr(queue));
    }
  EXPECT_THAT(lines, ElementsAre(R"(memif_rx_packets_total{queue="0"} 1)", R"(memif_rx_bytes_total{queue="0"} 2)",
                                 R"(memif_rx_bursts_total{queue="0"} 3)",
                                 R"(memif_rx_dropped_total{queue="0",reason="descriptor"} 4)",
                                 R"(memif_rx_dropped_total{queue="0",reason="long"} 5)",
                                 R"(memif_rx_dropped_total{queue="0",reason="oversize"} 6)",
                                 R"(memif_rx_interrupts_total{queue="0"} 7)", R"(memif_rx_sleeps_total{queue="0"} 8)",
                                 R"(memif_tx_packets_total{queue="0"} 1)", R"(memif_tx_bytes_total{queue="0"} 2)",
                                 R"(memif_tx_bursts_total{queue="0"} 3)", R"(memif_tx_ring_full_total{queue="0"} 4)",
                                 R"(memif_tx_dropped_total{queue="0",reason="buffer"} 5)",
                                 R"(memif_tx_dropped_total{queue="0",reason="rejected"} 6)",
                                 R"(memif_tx_interrupts_total{queue="0"} 7)"));
}

TEST(Counters, HelpInMetrics) {
  const std::string text = metrics_text({});
  for (const char* help :
       {"memif_rx_packets_total Packets received.", "memif_rx_bytes_total Bytes received.",
        "memif_rx_bursts_total Receive calls that returned packets.",
        "memif_rx_dropped_total Packets received and not handed out, by reason.",
        "memif_rx_interrupts_total Notifications received.",
        "memif_rx_sleeps_total Times that a wait for packets slept.", "memif_tx_packets_total Packets sent.",
        "memif_tx_bytes_total Bytes sent.", "memif_tx_bursts_total Send calls that published packets.",
        "memif_tx_ring_full_total Allocations that found less room in the ring than was asked for.",
        "memif_tx_dropped_total Buffers and packets not sent, by reason.",
        "memif_tx_interrupts_total Notifications sent."})
    EXPECT_THAT(text, HasSubstr(std::string("# HELP ") + help + "\n"));
}

TEST(Counters, InJson) {
  const nlohmann::ordered_json json = to_json(an_interface());
  EXPECT_EQ(nlohmann::json(json["rx"][0]), (nlohmann::json{{"queue", 0},
                                                           {"up", false},
                                                           {"packets", 1},
                                                           {"bytes", 2},
                                                           {"bursts", 3},
                                                           {"dropped_descriptor", 4},
                                                           {"dropped_long", 5},
                                                           {"dropped_oversize", 6},
                                                           {"interrupts", 7},
                                                           {"sleeps", 8}}));
  EXPECT_EQ(nlohmann::json(json["tx"][0]), (nlohmann::json{{"queue", 0},
                                                           {"up", false},
                                                           {"packets", 1},
                                                           {"bytes", 2},
                                                           {"bursts", 3},
                                                           {"ring_full", 4},
                                                           {"dropped_buffer", 5},
                                                           {"rejected", 6},
                                                           {"interrupts", 7}}));
}

TEST(Counters, InWords) {
  EXPECT_EQ(counters_text(numbered<RxTotals>()),
            "1 packets, 2 bytes, 3 bursts, 4 dropped for a bad descriptor, 5 dropped for too many buffers, "
            "6 dropped for too many bytes, 7 interrupts, 8 sleeps");
  EXPECT_EQ(counters_text(numbered<TxTotals>()),
            "1 packets, 2 bytes, 3 bursts, 4 times the ring was full, 5 posted buffers that cannot be used, "
            "6 rejected, 7 interrupts");
  EXPECT_EQ(counters_text(RxTotals{.sleeps = 2}), "0 packets, 0 bytes, 2 sleeps");
}

TEST(Counters, InColumns) {
  QueueRates rates;
  rates.rx = {.packets = 100,
              .bytes = 200,
              .bursts = 7,
              .dropped_descriptor = 3,
              .dropped_long = 4,
              .interrupts = 5,
              .sleeps = 6,
              .dropped_oversize = 8};
  rates.tx = {.packets = 101,
              .bytes = 202,
              .bursts = 7,
              .ring_full = 9,
              .dropped_buffer = 10,
              .rejected = 11,
              .interrupts = 12};
  const auto lines = top_table({an_interface()}, {{rates}}, TopOrder::name, std::string::npos);
  ASSERT_EQ(lines.size(), 2u);
  const auto first_column = lines[0].find("  RX/s");
  ASSERT_NE(first_column, std::string::npos);
  const auto from_rates = [first_column](const std::string& line) { return line.substr(first_column); };
  EXPECT_EQ(from_rates(lines[0]),
            "  RX/s  bit/s  USED   TX/s  bit/s  USED DROP/s    bad   long   huge   full buffer "
            "reject  INT/s SLEEP/s");
  EXPECT_EQ(from_rates(lines[1]),
            "   100  1.60k     -    101  1.62k     -     45      3      4      8      9     10 "
            "    11      5       6");
}

TEST(Counters, DropsAreSummedUp) {
  RxCounters rx;
  TxCounters tx;
  std::uint64_t rx_drops = 0, tx_drops = 0;
  for (const auto& counter : RxCounters::table) {
    (rx.*counter.value).add(10);
    rx_drops += counter.kind == CounterKind::drop ? 10 : 0;
  }
  for (const auto& counter : TxCounters::table) {
    (tx.*counter.value).add(10);
    tx_drops += counter.kind == CounterKind::drop ? 10 : 0;
  }
  EXPECT_EQ(drops(rx), rx_drops);
  EXPECT_EQ(drops(tx), tx_drops);
}

// --- The docs ---

std::string page(const std::string& name) {
  std::ifstream file(std::string(DOCS_DIR) + "/" + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string quoted(const std::string& words) { return "`" + words + "`"; }

void expect_listed(const std::string& words, const std::string& text, const char* document) {
  EXPECT_NE(text.find(words), std::string::npos) << words << " is missing in " << document;
}

TYPED_TEST(CounterTable, IsInTheDocs) {
  const std::string direction = std::is_same_v<TypeParam, RxTotals> ? "rx" : "tx";
  const std::string all = page("observing.md");
  const auto receive = all.find("| receive |"), transmit = all.find("| transmit |");
  ASSERT_LT(receive, transmit);
  ASSERT_NE(transmit, std::string::npos);
  const std::string of_direction = direction == "rx" ? all.substr(receive, transmit - receive)
                                                     : all.substr(transmit, all.find("\n\n", transmit) - transmit);
  for (const auto& counter : TypeParam::table) {
    const std::string name = counter.name, column = counter.column;
    expect_listed(quoted(name), of_direction, "docs/observing.md");
    expect_listed(quoted(name), page("info.md"), "docs/info.md");
    if (counter.kind == CounterKind::drop) {
      const std::string reason = name.substr(name.rfind("dropped_", 0) == 0 ? 8 : 0);
      expect_listed(quoted(reason), page("metrics.md"), "docs/metrics.md");
    } else {
      expect_listed(quoted("memif_" + direction + "_" + name + "_total"), page("metrics.md"), "docs/metrics.md");
    }
    if (column.empty()) continue;
    expect_listed(quoted(column), page("top.md"), "docs/top.md");
  }
}

}  // namespace
}  // namespace memif::tool
