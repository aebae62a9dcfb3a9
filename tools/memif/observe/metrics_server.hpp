// A small HTTP server for one document.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <poll.h>
#include <string>
#include <vector>

struct MHD_Daemon;

namespace memif::tool {

// Answers GET and HEAD of /metrics with what `document` returns at that moment, and everything else with an error. At
// most 32 connections, each dropped after ten idle seconds, of 16 KiB memory each. One thread: the one that calls
// run().
class MetricsServer {
 public:
  // `address` is ADDRESS:PORT in numbers, [ADDRESS]:PORT for IPv6; port 0 means any. Throws UsageError, Failure.
  MetricsServer(const std::string& address, std::function<std::string()> document);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  std::string url() const { return "http://" + bound_ + "/metrics"; }
  bool loopback() const noexcept { return loopback_; }  // nobody on another machine can reach it

  // When one of these is ready, run() has something to do; or after run_within(), if that is not nothing.
  void watch(std::vector<pollfd>& fds) const;
  std::optional<std::chrono::milliseconds> run_within() const;
  void run();

  std::string document() const { return document_(); }

 private:
  std::function<std::string()> document_;
  std::string bound_;
  bool loopback_ = false;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace memif::tool
