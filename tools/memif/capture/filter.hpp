// Capture filters in the language of pcap-filter(7).
#pragma once

#include <memory>
#include <string>

#include <memif/config.hpp>

#include "net/codec.hpp"

namespace memif::tool {

// What pcap calls the link type of packets of a mode: also the link type of captures.
int link_type(Mode mode);

class Filter {
 public:
  // An empty expression matches everything. Throws UsageError.
  Filter(const std::string& expression, Mode mode);
  ~Filter();
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  bool matches(View packet, std::size_t total) const noexcept;
  bool all() const noexcept { return program_ == nullptr; }

 private:
  struct Program;
  std::unique_ptr<Program> program_;
};

}  // namespace memif::tool
