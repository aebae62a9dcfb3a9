#include "observe/top_table.hpp"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>
#include <tuple>

namespace memif::tool {
namespace {

// One queue pair of one interface; rates only after the second look.
struct Row {
  const ObservedInterface* seen;
  std::size_t queue;
  const QueueRates* rates;
};

// `value` of the row's rates.
template <class Value>
std::string rate(const Row& row, Value value) {
  return row.rates != nullptr ? short_number(value(*row.rates)) : "-";
}

template <class Queues>
std::string percent_used(const Queues& queues, std::size_t queue) {
  const auto n = queue < queues.size() ? used(queues[queue].ring) : std::nullopt;
  return n ? fmt::format("{}%", 100 * *n / queues[queue].ring->ring_size) : "-";
}

struct Column {
  std::string_view heading;
  int width;     // characters; negative: to the left
  int priority;  // the highest go first where not all fit
  std::function<std::string(const Row&)> cell;
};

// The rates of all counters of a kind, of one direction.
template <class Rates>
void add_rates(std::vector<Column>& columns, Rates QueueRates::*direction, int priority, auto... kinds) {
  for (const auto& counter : Rates::table) {
    const std::string_view heading = counter.column;
    if (heading.empty() || !((counter.kind == kinds) || ...)) continue;
    columns.push_back(
        {heading, std::max(6, static_cast<int>(heading.size())), priority, [=, value = counter.value](const Row& row) {
           return rate(row, [&](const QueueRates& rates) { return rates.*direction.*value; });
         }});
  }
}

std::vector<Column> make_columns() {
  std::vector<Column> columns{
      {"PID", 7, 3, [](const Row& row) { return fmt::format("{}", row.seen->program.pid); }},
      {"PROGRAM", -12, 4, [](const Row& row) { return program_name(*row.seen); }},
      {"INTERFACE", -14, 0, [](const Row& row) { return row.seen->name; }},
      {"PEER", -14, 2,
       [](const Row& row) { return row.seen->peer ? row.seen->peer->app_name : std::string("(down)"); }},
      {"Q", 3, 0, [](const Row& row) { return fmt::format("{}", row.queue); }},
      {"RX/s", 6, 0, [](const Row& row) { return rate(row, [](const auto& rates) { return rates.rx.packets; }); }},
      {"bit/s", 6, 1, [](const Row& row) { return rate(row, [](const auto& rates) { return 8 * rates.rx.bytes; }); }},
      {"USED", 5, 0, [](const Row& row) { return percent_used(row.seen->rx, row.queue); }},
      {"TX/s", 6, 0, [](const Row& row) { return rate(row, [](const auto& rates) { return rates.tx.packets; }); }},
      {"bit/s", 6, 1, [](const Row& row) { return rate(row, [](const auto& rates) { return 8 * rates.tx.bytes; }); }},
      {"USED", 5, 0, [](const Row& row) { return percent_used(row.seen->tx, row.queue); }},
      {"DROP/s", 6, 1, [](const Row& row) { return rate(row, [](const auto& rates) { return rates.drops(); }); }},
  };
  add_rates(columns, &QueueRates::rx, 6, CounterKind::no_room, CounterKind::drop);
  add_rates(columns, &QueueRates::tx, 6, CounterKind::no_room, CounterKind::drop);
  add_rates(columns, &QueueRates::rx, 5, CounterKind::event);
  add_rates(columns, &QueueRates::tx, 5, CounterKind::event);
  return columns;
}

const std::vector<Column>& columns() {
  static const std::vector<Column> all = make_columns();
  return all;
}

std::size_t width(const Column& column) { return static_cast<std::size_t>(std::abs(column.width)); }

// All columns below the priority from which on they would be too wide.
std::vector<const Column*> choose(std::size_t available) {
  std::vector<const Column*> chosen;
  for (int limit = 7; limit > 0; --limit) {
    chosen.clear();
    std::size_t total = 0;
    for (const Column& column : columns())
      if (column.priority < limit) {
        total += width(column) + (chosen.empty() ? 0 : 1);
        chosen.push_back(&column);
      }
    if (total <= available) break;
  }
  return chosen;
}

std::string line(const std::vector<const Column*>& chosen, std::size_t available, const auto& cell) {
  std::string text;
  for (const Column* column : chosen) {
    const std::string content = cell(*column).substr(0, width(*column));
    text += text.empty() ? "" : " ";
    text += column->width < 0 ? fmt::format("{:<{}}", content, width(*column))
                              : fmt::format("{:>{}}", content, width(*column));
  }
  return text.substr(0, available);
}

// What sorts high comes first; all else being equal, by name.
auto sort_key(const Row& row, TopOrder order) {
  double value = 0;
  if (row.rates != nullptr && order != TopOrder::name)
    value = order == TopOrder::packets ? row.rates->packets()
            : order == TopOrder::bits  ? row.rates->bits()
                                       : row.rates->drops();
  return std::make_tuple(-value, row.seen->name, row.seen->program.pid, row.queue);
}

}  // namespace

std::string short_number(double value) {
  constexpr std::string_view units = " kMGTP";
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  const int digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return unit == 0 ? fmt::format("{:.0f}", value) : fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

std::vector<std::string> top_table(const std::vector<ObservedInterface>& seen,
                                   const std::vector<std::vector<QueueRates>>& rates, TopOrder order,
                                   std::size_t available) {
  std::vector<Row> rows;
  for (std::size_t i = 0; i < seen.size(); ++i)
    for (std::size_t queue = 0; queue < std::max(seen[i].rx.size(), seen[i].tx.size()); ++queue)
      rows.push_back({&seen[i], queue, queue < rates[i].size() ? &rates[i][queue] : nullptr});
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Row& a, const Row& b) { return sort_key(a, order) < sort_key(b, order); });

  const auto chosen = choose(available);
  std::vector<std::string> lines{
      line(chosen, available, [](const Column& column) { return std::string(column.heading); })};
  for (const Row& row : rows)
    lines.push_back(line(chosen, available, [&](const Column& column) { return column.cell(row); }));
  return lines;
}

}  // namespace memif::tool
