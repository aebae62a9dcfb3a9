#include "perf/document.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <memif/fd.hpp>

#include "common/command.hpp"
#include "common/output.hpp"

namespace memif::tool {
namespace {

using Json = nlohmann::ordered_json;

std::string json_document(const Json& report) {
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

using Make = std::string (*)(const Json&);

Make maker_for(const std::string& path) {
  if (path.ends_with(".html")) return html_document;
  if (path.ends_with(".csv")) return csv_document;
  if (path.ends_with(".json")) return json_document;
  throw UsageError(fmt::format("--report: '{}' does not end in .html, .csv or .json", path));
}

[[noreturn]] void fail(const std::string& path) {
  throw Failure(exit_failed, fmt::format("cannot write to {}: {}", path, std::strerror(errno)));
}

}  // namespace

struct ReportFiles::File {
  std::string path;
  Make make;
  Fd fd;
};

ReportFiles::ReportFiles(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) files_.push_back({path, maker_for(path), Fd()});
  for (File& file : files_) {
    file.fd = Fd(::open(file.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file.fd) fail(file.path);
  }
}

ReportFiles::~ReportFiles() = default;

void ReportFiles::write(const Json& report) {
  for (File& file : files_) {
    const std::string text = file.make(report);
    if (write_all(file.fd.get(), text) != text.size()) fail(file.path);
  }
}

}  // namespace memif::tool
