#include "capture/filter.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <pcap/pcap.h>

#include "common/command.hpp"

namespace memif::tool {

struct Filter::Program {
  bpf_program code{};
  ~Program() { ::pcap_freecode(&code); }
};

int link_type(Mode mode) {
  switch (mode) {
    case Mode::ethernet:
      return DLT_EN10MB;
    case Mode::ip:
      return DLT_RAW;
    case Mode::punt_inject:
      return DLT_USER0;
  }
  return DLT_USER0;
}

Filter::Filter(const std::string& expression, Mode mode) {
  if (expression.empty()) return;
  const std::unique_ptr<pcap_t, decltype(&::pcap_close)> dead(::pcap_open_dead(link_type(mode), 65535), ::pcap_close);
  if (!dead) throw Failure(exit_failed, "out of memory");
  auto program = std::make_unique<Program>();
  if (::pcap_compile(dead.get(), &program->code, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    throw UsageError(fmt::format("filter '{}': {}", expression, ::pcap_geterr(dead.get())));
  program_ = std::move(program);
}

Filter::~Filter() = default;

bool Filter::matches(View packet, std::size_t total) const noexcept {
  if (!program_) return true;
  pcap_pkthdr header{};
  constexpr std::size_t most = std::numeric_limits<bpf_u_int32>::max();
  header.caplen = static_cast<bpf_u_int32>(std::min(packet.size(), most));
  header.len = static_cast<bpf_u_int32>(std::min(total, most));
  return ::pcap_offline_filter(&program_->code, &header, packet.data()) != 0;
}

}  // namespace memif::tool
