// The CSV of memif perf.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perf/document.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

// As RFC 4180 has it.
std::string cell(const Json& value) {
  if (value.is_null()) return {};
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

// The latency's fields become the row's own; where there is none, they are empty.
Json flat(const Json& row) {
  static constexpr const char* fields[] = {"samples", "min_us",   "mean_us",   "p50_us", "p90_us",
                                           "p99_us",  "p99_9_us", "p99_99_us", "max_us"};
  Json out = Json::object();
  for (const auto& [key, value] : row.items()) {
    if (key != "latency") out[key] = value;
    for (const char* field : fields)
      if (key == "latency") out[field] = value.is_null() ? Json() : value.at(field);
  }
  return out;
}

Json rows_of(const Json& report) {
  Json rows = Json::array();
  if (!report.contains("searches")) {
    for (const Json& interval : report.at("intervals")) rows.push_back(flat(interval));
    return rows;
  }
  for (const Json& search : report.at("searches"))
    for (const Json& trial : search.at("trials")) {
      Json row{{"size", search.at("size")}, {"goal", search.at("goal")}};
      row.update(flat(trial));
      rows.push_back(std::move(row));
    }
  return rows;
}

}  // namespace

std::string csv_document(const Json& report) {
  const Json rows = rows_of(report);
  std::string out, line;
  if (rows.empty()) return out;
  for (const auto& [key, value] : rows.front().items()) line += (line.empty() ? "" : ",") + key;
  out = line + "\r\n";
  for (const Json& row : rows) {
    line.clear();
    for (const auto& [key, value] : row.items()) line += (&value == &row.front() ? "" : ",") + cell(value);
    out += line + "\r\n";
  }
  return out;
}

}  // namespace memif::tool
