// The table of counters, what users see that is made from it, and the docs that list them.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "observe/metrics_text.hpp"
#include "observe/observed.hpp"
#include "observe/top_table.hpp"

namespace memif::tool {
namespace {

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

// --- What users see, all of it made from the table; docs/*.md, which the last test compares, fix the names ---

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream text(line);
  return {std::istream_iterator<std::string>(text), {}};
}

template <class Totals>
constexpr const char* direction = std::is_same_v<Totals, RxTotals> ? "rx" : "tx";

bool is_loss(CounterKind kind) { return kind == CounterKind::drop || kind == CounterKind::no_room; }

// As metrics have them: lost packets are one family, by reason.
template <class Counter>
bool is_drop(const Counter& counter) {
  return counter.kind == CounterKind::drop;
}
std::string reason_of(const std::string& name) { return name.substr(name.rfind("dropped_", 0) == 0 ? 8 : 0); }

TYPED_TEST(CounterTable, IsInMetrics) {
  const std::string text = metrics_text({.interfaces = {an_interface()}});
  const std::string prefix = std::string("memif_") + direction<TypeParam> + "_";
  std::multiset<std::string> seen, expected;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);)
    if (line.rfind(prefix, 0) == 0 && line.find("_total{") != std::string::npos) {
      const auto labels = line.find('{'), queue = line.find("queue=");
      seen.insert(line.substr(0, labels) + " " + line.substr(queue));
    }
  std::uint64_t number = 0;
  for (const auto& counter : TypeParam::table) {
    const std::string value = std::to_string(++number), name = counter.name;
    expected.insert(is_drop(counter) ? prefix + "dropped_total queue=\"0\",reason=\"" + reason_of(name) + "\"} " + value
                                     : prefix + name + "_total queue=\"0\"} " + value);
    if (!is_drop(counter)) {
      EXPECT_THAT(text, HasSubstr("# HELP " + prefix + name + "_total " + counter.help + "\n"));
    }
  }
  EXPECT_EQ(seen, expected);
  EXPECT_THAT(text, HasSubstr("# HELP " + prefix + "dropped_total "));
}

TYPED_TEST(CounterTable, IsInJson) {
  nlohmann::json expected{{"queue", 0}, {"up", false}};
  std::uint64_t number = 0;
  for (const auto& counter : TypeParam::table) expected[counter.name] = ++number;
  EXPECT_EQ(nlohmann::json(to_json(an_interface())[direction<TypeParam>][0]), expected);
}

TYPED_TEST(CounterTable, IsInWords) {
  std::string expected;
  std::uint64_t number = 0;
  for (const auto& counter : TypeParam::table) {
    if (number != 0) expected += ", ";
    expected += std::to_string(++number) + " " + counter.text;
  }
  EXPECT_EQ(counters_text(numbered<TypeParam>()), expected);
}

TEST(Counters, ThatAreZeroNeedNoWordsButForTraffic) {
  EXPECT_EQ(counters_text(RxTotals{.sleeps = 2}), "0 packets, 0 bytes, 2 sleeps");
}

TEST(Counters, HaveColumns) {
  QueueRates rates;
  std::map<std::string, double> expected;
  double number = 0, lost = 0;
  const auto number_all = [&](auto& of_direction) {
    for (const auto& counter : std::remove_reference_t<decltype(of_direction)>::table) {
      of_direction.*counter.value = ++number;
      if (is_loss(counter.kind)) lost += number;
      if (*counter.column != '\0') expected[counter.column] = number;
    }
  };
  number_all(rates.rx);
  number_all(rates.tx);
  expected["DROP/s"] = lost;
  const auto lines = top_table({an_interface()}, {{rates}}, TopOrder::name, std::string::npos);
  ASSERT_EQ(lines.size(), 2u);
  const auto first_column = lines[0].find("  RX/s");
  ASSERT_NE(first_column, std::string::npos);
  const auto heads = words_of(lines[0].substr(first_column)), values = words_of(lines[1].substr(first_column));
  ASSERT_EQ(heads.size(), values.size());
  for (std::size_t i = 0; i < heads.size(); ++i)
    if (const auto found = expected.find(heads[i]); found != expected.end()) {
      EXPECT_EQ(std::stod(values[i]), found->second) << heads[i];
      expected.erase(found);
    }
  EXPECT_THAT(expected, testing::IsEmpty()) << "have no column";
}

// Where each value is beneath its head.
TEST(Counters, HaveColumnsOfOneWidth) {
  QueueRates rates;
  rates.rx = {.packets = 100, .bytes = 200};
  rates.tx = {.packets = 101, .bytes = 202};
  const auto lines = top_table({an_interface()}, {{rates}}, TopOrder::name, std::string::npos);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), lines[1].size());
  const auto first_column = lines[0].find("  RX/s");
  ASSERT_NE(first_column, std::string::npos);
  EXPECT_THAT(lines[0].substr(first_column), testing::StartsWith("  RX/s  bit/s  USED   TX/s  bit/s  USED DROP/s"));
  EXPECT_THAT(lines[1].substr(first_column), testing::StartsWith("   100  1.60k     -    101  1.62k     -      0"));
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
  const std::string way = direction<TypeParam>;
  const std::string all = page("observing.md");
  const auto receive = all.find("| receive |"), transmit = all.find("| transmit |");
  ASSERT_LT(receive, transmit);
  ASSERT_NE(transmit, std::string::npos);
  const std::string of_direction = way == "rx" ? all.substr(receive, transmit - receive)
                                               : all.substr(transmit, all.find("\n\n", transmit) - transmit);
  for (const auto& counter : TypeParam::table) {
    const std::string name = counter.name, column = counter.column;
    expect_listed(quoted(name), of_direction, "docs/observing.md");
    expect_listed(quoted(name), page("info.md"), "docs/info.md");
    if (counter.kind == CounterKind::drop) {
      expect_listed(quoted(reason_of(name)), page("metrics.md"), "docs/metrics.md");
    } else {
      expect_listed(quoted("memif_" + way + "_" + name + "_total"), page("metrics.md"), "docs/metrics.md");
    }
    if (column.empty()) continue;
    expect_listed(quoted(column), page("top.md"), "docs/top.md");
  }
}

}  // namespace
}  // namespace memif::tool
