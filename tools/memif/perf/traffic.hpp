// The packets that memif perf sends: of some sizes, in turn, and of some flows, in turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "perf/flows.hpp"

namespace memif::tool {

// Not changed after it was made: shared by threads.
class PerfTraffic {
 public:
  // Throws UsageError for a size that is too short for a mark or longer than IP allows, and for too many flows.
  PerfTraffic(const FlowPlan& plan, const std::vector<std::size_t>& sizes);

  std::size_t turns() const noexcept { return packets_.size(); }  // sizes, before they begin again
  std::size_t flows() const noexcept { return flows_; }
  double mean_size() const noexcept;

  // The packet of a turn and the first flow, without a mark.
  const Bytes& packet(std::size_t turn) const noexcept { return packets_[turn]; }

  // The headers of a packet: as many bytes as are before the mark.
  const std::uint8_t* headers(std::size_t turn, std::size_t flow) const noexcept {
    return tables_[table_of_[turn]].data() + flow * mark_at_;
  }
  std::size_t mark_at() const noexcept { return mark_at_; }

  // Whether UDP's checksum, right before the mark, is to be made of the sum that the headers have there and the mark.
  bool has_checksums() const noexcept { return has_checksums_; }

 private:
  void check_size(std::size_t size) const;
  void add_table(const FlowPlan& plan, const std::vector<Flow>& flows, std::size_t size);

  std::size_t mark_at_, longest_, flows_ = 0;
  bool has_checksums_;
  std::vector<Bytes> packets_;
  std::vector<std::size_t> table_of_;  // by turn
  std::vector<Bytes> tables_;          // one a size: the headers of all flows
};

}  // namespace memif::tool
