// memif_get_details: what is known of an interface, packed into the program's buffer.
#pragma once

#include <cstring>
#include <string_view>

#include "connection.hpp"

namespace memif::capi {

// Hands out pieces of the program's buffer. A piece that does not fit is null, and smaller ones may still fit.
class Packer {
 public:
  Packer(char* buffer, std::ptrdiff_t length) noexcept
      : at_(buffer), left_(buffer != nullptr && length > 0 ? static_cast<std::size_t>(length) : 0) {}

  std::uint8_t* text(std::string_view text) noexcept {
    char* const to = take(text.size() + 1, 1);
    if (to == nullptr) return nullptr;
    text.copy(to, text.size());
    to[text.size()] = '\0';
    return reinterpret_cast<std::uint8_t*>(to);
  }

  template <class T>
  T* array(std::size_t count) noexcept {
    if (count == 0) return nullptr;
    char* const to = take(count * sizeof(T), alignof(T));
    if (to != nullptr) std::memset(to, 0, count * sizeof(T));
    return reinterpret_cast<T*>(to);
  }

  bool short_of_room() const noexcept { return short_; }

 private:
  char* take(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t gap = (0 - reinterpret_cast<std::uintptr_t>(at_)) & (alignment - 1);
    if (gap + bytes > left_) {
      short_ = true;
      return nullptr;
    }
    char* const piece = at_ + gap;
    at_ = piece + bytes;
    left_ -= gap + bytes;
    return piece;
  }

  char* at_;
  std::size_t left_;
  bool short_ = false;
};

template <class Details>
void pack_queues(const std::vector<RingInfo>& rings, std::uint32_t buffer_size, Details*& queues, std::uint8_t& number,
                 Packer& packer) {
  queues = packer.array<Details>(rings.size());
  number = 0;
  if (queues == nullptr) return;
  for (const RingInfo& ring : rings) {
    Details& queue = queues[number++];
    if constexpr (requires { queue.region; }) queue.region = static_cast<std::uint8_t>(ring.region);
    queue.qid = static_cast<decltype(queue.qid)>(ring.queue);
    queue.ring_size = ring.ring_size;
    queue.flags = ring.flags & wire::ring_flag_mask_interrupt;
    queue.head = ring.head;
    queue.tail = ring.tail;
    queue.buffer_size = static_cast<std::uint16_t>(ring.buffer_size != 0 ? ring.buffer_size : buffer_size);
  }
}

template <class Details>
void pack_regions(const std::vector<RegionInfo>& regions, Details& details, Packer& packer) {
  using Region = std::remove_pointer_t<decltype(details.regions)>;
  details.regions = packer.array<Region>(regions.size());
  details.regions_num = 0;
  if (details.regions == nullptr) return;
  for (const RegionInfo& region : regions) {
    if (details.regions_num == 255) break;
    Region& to = details.regions[details.regions_num++];
    to.index = static_cast<std::uint8_t>(region.index);
    to.addr = region.address;
    to.size = static_cast<std::uint32_t>(region.size);
    to.fd = region.fd;
    to.is_external = region.external ? 1 : 0;
  }
}

template <class Details>
Code get_details(void* handle, Details* details, char* buffer, std::ptrdiff_t length) noexcept {
  auto* const connection = static_cast<Connection*>(handle);
  if (connection == nullptr) return Code::noconn;
  if (details == nullptr) return Code::inval_arg;
  return guarded([&] {
    const InterfaceConfig& config = connection->interface().config();
    const InterfaceInfo info = connection->interface().info();
    Packer packer(buffer, length);
    *details = {};
    details->if_name = packer.text(config.name);
    details->inst_name = packer.text(connection->instance().app_name());
    details->remote_if_name = packer.text(info.peer ? info.peer->interface_name : "");
    details->remote_inst_name = packer.text(info.peer ? info.peer->app_name : "");
    details->id = config.id;
    if (!config.secret.empty()) details->secret = packer.text(config.secret);
    details->role = connection->client() ? 1 : 0;
    details->mode = static_cast<std::uint8_t>(config.mode);
    if constexpr (requires { details->socket_path; })
      details->socket_path = packer.text(config.socket);
    else
      details->socket_filename = packer.text(config.socket);
    if constexpr (requires { details->error; })
      details->error = packer.text(info.last_reason ? info.last_reason->text : "");
    if constexpr (requires { details->regions; }) pack_regions(info.regions, *details, packer);
    pack_queues(info.rx, config.buffer_size, details->rx_queues, details->rx_queues_num, packer);
    pack_queues(info.tx, config.buffer_size, details->tx_queues, details->tx_queues_num, packer);
    details->link_up_down = info.connected ? 1 : 0;
    return packer.short_of_room() ? Code::nobuf_det : Code::success;
  });
}

}  // namespace memif::capi
