// The reports of memif perf that are files. All are made from its JSON.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace memif::tool {

// One page for people, which needs nothing from elsewhere: plots as SVG, tables, and the JSON itself.
std::string html_document(const nlohmann::ordered_json& report);

// One line for each interval, or of a search for each trial.
std::string csv_document(const nlohmann::ordered_json& report);

// Files that are made before something is measured, so that what is wrong with them is known at once, and filled after.
class ReportFiles {
 public:
  // Each is HTML, CSV or JSON, as its name ends. Throws UsageError for other names, Failure if it cannot be written.
  explicit ReportFiles(const std::vector<std::string>& paths);
  ~ReportFiles();
  ReportFiles(const ReportFiles&) = delete;
  ReportFiles& operator=(const ReportFiles&) = delete;

  void write(const nlohmann::ordered_json& report);  // throws Failure

 private:
  struct File;
  std::vector<File> files_;
};

}  // namespace memif::tool
