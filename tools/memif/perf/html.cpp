// The page of memif perf.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perf/document.hpp"
#include "perf/plot.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* page_style = R"(
:root{color-scheme:light dark}body{font:15px/1.5 sans-serif;max-width:820px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .9em .2em 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}tr{border-bottom:1px solid #8884}
pre{overflow:auto;max-height:30em;font-size:12px}
)";

double number_of(const Json& row, const char* key) {
  const auto at = row.find(key);
  return at != row.end() && at->is_number() ? at->get<double>() : NAN;
}

std::string text_of(const Json& value) {
  if (value.is_null()) return "not known";
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string row(const std::string& name, const Json& value) {
  return fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape_html(name), escape_html(text_of(value)));
}

// The fields of an object that are no objects or lists themselves.
std::string table(const Json& object) {
  std::string out = "<table>\n";
  for (const auto& [key, value] : object.items())
    if (!value.is_structured() && key != "schema") out += row(key, value);
  return out + "</table>\n";
}

// A curve of a field of each interval, at its end.
Curve over_time(const Json& intervals, const char* name, const char* group, const char* field) {
  Curve curve{name};
  for (const Json& one : intervals) {
    const Json& from = *group == '\0' ? one : one.at(group);
    curve.points.emplace_back(number_of(one, "to_s"), from.is_object() ? number_of(from, field) : NAN);
  }
  return curve;
}

std::string plots_over_time(const Json& report) {
  const Json& intervals = report.at("intervals");
  return svg({"Rate over time",
              "s",
              "packets a second",
              {over_time(intervals, "sent", "", "sent_pps"), over_time(intervals, "received", "", "received_pps")}}) +
         svg({"Loss over time", "s", "packets lost in the interval", {over_time(intervals, "lost", "", "lost")}}) +
         svg({"Latency over time",
              "s",
              "µs",
              {over_time(intervals, "p50", "latency", "p50_us"), over_time(intervals, "p99", "latency", "p99_us"),
               over_time(intervals, "max", "latency", "max_us")},
              true});
}

// Percentiles at equal distances, whose number of nines grows: so the tail is seen.
std::string plot_of_latency(const Json& distribution) {
  Plot plot{"Latency distribution", "percentile", "µs", {{"latency"}}, true};
  for (const Json& point : distribution) {
    const double percent = number_of(point, "percent");
    plot.x_names.push_back(fmt::format("{:.{}f}", percent, percent > 99.9 ? 3 : percent > 99 ? 1 : 0));
    plot.curves[0].points.emplace_back(static_cast<double>(plot.x_names.size()) - 1, number_of(point, "us"));
  }
  return svg(plot);
}

std::string search_row(const Json& search) {
  const Json& best = search.at("best");
  std::string out = fmt::format("<tr><td>{}</td><td>{} {} %</td>", escape_html(text_of(search.at("size"))),
                                escape_html(text_of(search.at("goal"))), text_of(search.at("max_loss_percent")));
  if (best.is_null()) return out + "<td colspan=\"5\">no rate passes</td></tr>\n";
  const Json& latency = best.at("latency");
  const auto cell = [&out](const std::string& text) { out += fmt::format("<td class=\"n\">{}</td>", text); };
  cell(fmt::format("{}{:.4f}", search.at("limited").get<bool>() ? "≥ " : "", number_of(best, "received_pps") / 1e6));
  cell(fmt::format("{:.4f}", number_of(best, "received_bps") / 1e9));
  cell(text_of(best.at("loss_percent")));
  for (const char* field : {"p50_us", "p99_us"}) cell(latency.is_null() ? "" : text_of(latency.at(field)));
  return out + "</tr>\n";
}

// Of each goal, over the sizes; and of all its trials.
std::string plots_of_searches(const Json& searches) {
  Plot rates{"Throughput over size", "bytes", "packets a second"},
      bits{"Throughput over size", "bytes", "bits a second"};
  for (const Json& search : searches) {
    const std::string size = text_of(search.at("size")), goal = text_of(search.at("goal"));
    if (rates.x_names.empty() || rates.x_names.back() != size) rates.x_names.push_back(size);
    for (auto [plot, field] : {std::pair(&rates, "received_pps"), {&bits, "received_bps"}}) {
      auto& curves = plot->curves;
      auto at = std::find_if(curves.begin(), curves.end(), [&goal](const Curve& curve) { return curve.name == goal; });
      if (at == curves.end()) at = curves.insert(at, Curve{goal});
      const Json& best = search.at("best");
      at->points.emplace_back(static_cast<double>(rates.x_names.size()) - 1,
                              best.is_null() ? 0 : number_of(best, field));
    }
  }
  bits.x_names = rates.x_names;
  return svg(rates) + svg(bits);
}

std::string plot_of_trials(const Json& search) {
  Curve curve{"loss"};
  for (const Json& trial : search.at("trials"))
    curve.points.emplace_back(number_of(trial, "offered_pps"), number_of(trial, "loss_percent"));
  std::sort(curve.points.begin(), curve.points.end());
  return svg({"Trials: " + text_of(search.at("size")) + " bytes, " + text_of(search.at("goal")),
              "packets a second offered",
              "% lost",
              {curve}});
}

std::string searches_section(const Json& report) {
  const Json& searches = report.at("searches");
  std::string out =
      "<h2>Throughput</h2>\n<table>\n<tr><th>bytes</th><th>goal</th><th>Mpps</th><th>Gbit/s</th>"
      "<th>% lost</th><th>p50 µs</th><th>p99 µs</th></tr>\n";
  for (const Json& search : searches) out += search_row(search);
  out += "</table>\n" + plots_of_searches(searches);
  for (const Json& burst : report.at("bursts")) out += table(burst);
  for (const Json& search : searches) out += plot_of_trials(search);
  return out;
}

std::string measurement_section(const Json& report) {
  std::string out = "<h2>Result</h2>\n" + table(report) + plots_over_time(report);
  if (!report.at("latency").is_null())
    out += plot_of_latency(report.at("latency_distribution")) + "<h3>Latency</h3>\n" + table(report.at("latency"));
  for (const Json& queue : report.at("queues")) out += "<h3>Thread</h3>\n" + table(queue);
  return out;
}

// No "<" in it: nothing of what a peer says can end the element.
std::string embedded(const Json& report) {
  std::string out;
  for (const char c : report.dump(1, ' ', false, Json::error_handler_t::replace))
    out += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return out;
}

}  // namespace

std::string html_document(const Json& report) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>memif perf</title>\n"
      "<style>{}{}</style>\n</head>\n<body>\n<h1>memif perf: {}</h1>\n",
      page_style, plot_style, escape_html(text_of(report.at("test"))));
  out += "<p><code>" + escape_html(text_of(report.at("command"))) + "</code></p>\n<p>" +
         escape_html(text_of(report.at("started"))) + ", " + escape_html(text_of(report.at("version"))) + "</p>\n";
  out += report.contains("searches") ? searches_section(report) : measurement_section(report);
  out += "<h2>Machine</h2>\n" + table(report.at("machine"));
  for (const Json& port : report.at("ports")) out += "<h3>Port</h3>\n" + table(port);
  return out +
         "<details><summary>All numbers</summary>\n<pre id=\"numbers\"></pre></details>\n"
         "<script type=\"application/json\" id=\"report\">\n" +
         embedded(report) +
         "\n</script>\n"
         "<script>document.getElementById('numbers').textContent="
         "document.getElementById('report').textContent</script>\n</body>\n</html>\n";
}

}  // namespace memif::tool
