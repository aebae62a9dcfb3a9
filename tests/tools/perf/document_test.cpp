#include "perf/document.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "perf/plot.hpp"

namespace memif::tool {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::ordered_json;

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; ++at) ++found;
  return found;
}

Json with_head(Json rest) {
  Json report{{"schema", "memif-perf/1"}, {"test", "one_way"},       {"version", "memif 0"},
              {"started", "today"},       {"command", "memif perf"}, {"machine", {{"cpu", "x"}, {"cpus", 2}}},
              {"ports", Json::array()}};
  report.update(rest);
  return report;
}

Json measurement() {
  const Json latency{{"samples", 3}, {"min_us", 1.5}, {"mean_us", 2},   {"p50_us", 2}, {"p90_us", 3},
                     {"p99_us", 3},  {"p99_9_us", 3}, {"p99_99_us", 3}, {"max_us", 3}};
  Json intervals = Json::array();
  for (int i = 0; i < 3; ++i)
    intervals.push_back({{"from_s", i},
                         {"to_s", i + 1},
                         {"sent_pps", 1e6},
                         {"received_pps", 9e5},
                         {"lost", i},
                         {"latency", i == 1 ? Json() : latency}});
  return with_head({{"seconds", 3.0},
                    {"lost", nullptr},
                    {"latency", latency},
                    {"queues", Json::array()},
                    {"latency_distribution", {{{"percent", 50}, {"us", 2}}, {{"percent", 99.9}, {"us", 3}}}},
                    {"intervals", intervals}});
}

Json search() {
  const Json trial{{"offered_pps", 1e6}, {"received_pps", 1e6}, {"received_bps", 5e8},
                   {"loss_percent", 0},  {"latency", nullptr},  {"passed", true}};
  Json searches = Json::array();
  for (const char* size : {"64", "1518"})
    for (const char* goal : {"ndr", "pdr"})
      searches.push_back({{"size", size},
                          {"goal", goal},
                          {"max_loss_percent", 0},
                          {"limited", false},
                          {"best", trial},
                          {"trials", {trial, trial}}});
  searches.back()["best"] = nullptr;
  return with_head({{"searches", searches}, {"bursts", {{{"size", "64"}, {"packets", 1000}, {"limited", false}}}}});
}

void expect_well_formed(const std::string& page) {
  for (const char* tag : {"svg", "table", "g", "tr", "td", "script", "style", "body"}) {
    const std::size_t opened = count(page, std::string("<") + tag + ">") + count(page, std::string("<") + tag + " ");
    EXPECT_EQ(opened, count(page, std::string("</") + tag + ">")) << tag;
  }
  for (const char* outside : {"http", "src=", "href", "url(", "@import", "nan", "inf"})
    EXPECT_THAT(page, Not(HasSubstr(outside)));
}

TEST(PerfPage, HasPlotsOfRateLossAndLatencyAndNothingFromElsewhere) {
  const std::string page = html_document(measurement());
  expect_well_formed(page);
  for (const char* title : {"Rate over time", "Loss over time", "Latency over time", "Latency distribution", "Machine"})
    EXPECT_THAT(page, HasSubstr(title));
  EXPECT_EQ(count(page, "<polyline"), 2u + 1 + 3 + 1);
}

TEST(PerfPage, HasPlotsOfASearchOverItsSizes) {
  const std::string page = html_document(search());
  expect_well_formed(page);
  EXPECT_EQ(count(page, "Throughput over size"), 4u);  // two plots, each with its label for those who do not see
  EXPECT_THAT(page, HasSubstr("no rate passes"));
  EXPECT_THAT(page, HasSubstr("1000"));
}

TEST(PerfPage, HasItsJsonWithin) {
  const Json report = measurement();
  const std::string page = html_document(report);
  const std::string begin = "<script type=\"application/json\" id=\"report\">";
  const std::size_t at = page.find(begin) + begin.size();
  EXPECT_EQ(Json::parse(page.substr(at, page.find("</script>", at) - at)), report);
}

TEST(PerfPage, WhatAPeerSaysStaysText) {
  Json report = measurement();
  report["ports"] = {{{"peer", "</script><script>alert(1)</script><b \"'&"}}};
  report["command"] = "<img onerror=x>\xff";
  report["latency"]["</td><script>"] = 1;
  const std::string page = html_document(report);
  expect_well_formed(page);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("&lt;img onerror=x&gt;"));
}

TEST(PerfCsv, HasALineForEachIntervalWithItsLatency) {
  const std::string text = csv_document(measurement());
  EXPECT_THAT(text, testing::StartsWith("from_s,to_s,sent_pps,received_pps,lost,samples,min_us,mean_us,p50_us,"));
  EXPECT_EQ(count(text, "\r\n"), 4u);
  EXPECT_THAT(text, HasSubstr("\r\n1,2,1000000.0,900000.0,1,,,,,,,,,\r\n"));  // of the interval without latency
}

TEST(PerfCsv, HasALineForEachTrialAndQuotesWhatItMust) {
  Json report = search();
  report["searches"][0]["size"] = "64:1,\"65\"";
  const std::string text = csv_document(report);
  EXPECT_EQ(count(text, "\r\n"), 9u);
  EXPECT_THAT(text, testing::StartsWith("size,goal,offered_pps"));
  EXPECT_THAT(text, HasSubstr("\r\n\"64:1,\"\"65\"\"\",ndr,1000000.0"));
}

TEST(Plot, DrawsWhatCanBeDrawn) {
  EXPECT_THAT(svg({"t", "x", "y", {}}), HasSubstr("nothing"));
  const std::string plot = svg({"t", "x", "y", {{"a", {{0, 0}, {1, NAN}, {2, 1e18}}}, {"b", {{5, 3}}}}});
  expect_well_formed(plot);
  EXPECT_EQ(count(plot, "<circle"), 3u);
  const std::string log = svg({"t", "x", "y", {{"a", {{0, 0}, {1, 1}, {2, 1e9}}}}, true});
  EXPECT_EQ(count(log, "<circle"), 2u);
  for (const double value : {-1e300, -1.0, 0.0, 1e-300, 1e18, 1e300})
    expect_well_formed(svg({"t", "x", "y", {{"a", {{value, value}, {value, value}}}}, value > 0}));
}

}  // namespace
}  // namespace memif::tool
