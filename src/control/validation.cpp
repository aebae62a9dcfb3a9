#include <bit>
#include <cstdio>
#include <initializer_list>
#include <utility>

#include <memif/config.hpp>
#include <memif/pool.hpp>

#include "memory/layout.hpp"
#include "protocol/address.hpp"

namespace memif {
namespace {

constexpr std::size_t name_width = 32, secret_width = 24;  // field widths: docs/protocol.md, "Messages"
constexpr std::uint32_t min_ring = 2, max_ring = 16384;
constexpr std::uint32_t memory_unit = 64;
constexpr std::uint32_t largest_packet = 1u << 28;  // a Buffer's capacity has 30 bits
constexpr std::uint64_t least_peer_memory = 4096;   // a page: two rings of two descriptors
constexpr std::chrono::hours longest{24};           // keeps all sums of clock values in range

Error invalid(const char* field, const std::string& value, const std::string& rule) {
  return {Errc::invalid_config, std::string(field) + " " + value + ": " + rule};
}

Status check_text(const char* field, std::size_t size, std::size_t limit) {
  if (size <= limit) return Nothing{};
  return Error{Errc::invalid_config, std::string(field) + " of " + std::to_string(size) + " bytes: must be at most " +
                                         std::to_string(limit) + " bytes"};
}

Status check_enums(const InterfaceConfig& config) {
  if (config.role > Role::server) {
    return invalid("role", std::to_string(static_cast<int>(config.role)), "must be client (0) or server (1)");
  }
  if (config.mode > Mode::punt_inject) {
    return invalid("mode", std::to_string(static_cast<int>(config.mode)),
                   "must be ethernet (0), ip (1) or punt_inject (2)");
  }
  if (config.rx_mode > RxMode::adaptive) {
    return invalid("rx_mode", std::to_string(static_cast<int>(config.rx_mode)),
                   "must be polling (0), interrupt (1) or adaptive (2)");
  }
  return Nothing{};
}

Status check_socket(const InterfaceConfig& config) {
  Result<Address> address = parse_address(config.socket);
  if (!address) return std::move(address.error());
  const SocketFile& file = config.socket_file;
  if (file.mode && (*file.mode & ~mode_t{0777}) != 0) {
    char octal[16] = {};
    std::snprintf(octal, sizeof octal, "0%o", static_cast<unsigned>(*file.mode));
    return invalid("socket_file.mode", octal, "must be permission bits from 0 to 0777");
  }
  if (address->abstract && (file.mode || file.owner || file.group)) {
    return invalid("socket_file", "for " + address->text,
                   "an abstract socket has no file, so no mode, owner or group either");
  }
  return Nothing{};
}

Status check_queues(const InterfaceConfig& config) {
  for (const auto& [field, count] : {std::pair{"rx_queues", config.rx_queues}, {"tx_queues", config.tx_queues}}) {
    if (count < 1 || count > max_queues) return invalid(field, std::to_string(count), "must be from 1 to 256");
  }
  if (config.ring_size < min_ring || config.ring_size > max_ring || !std::has_single_bit(config.ring_size)) {
    return invalid("ring_size", std::to_string(config.ring_size), "must be a power of two from 2 to 16384");
  }
  if (config.buffer_size < 1 || config.buffer_size > detail::max_buffer_size) {
    return invalid("buffer_size", std::to_string(config.buffer_size), "must be from 1 to 1048576");
  }
  if (config.max_packet < 1 || config.max_packet > largest_packet) {
    return invalid("max_packet", std::to_string(config.max_packet), "must be from 1 to 268435456");
  }
  if (config.headroom >= config.buffer_size) {
    return invalid("headroom", std::to_string(config.headroom),
                   "must be less than buffer_size (" + std::to_string(config.buffer_size) + ")");
  }
  if (config.headroom != 0 && config.memory_hooks && config.memory_hooks->placed) {
    return invalid("headroom", std::to_string(config.headroom),
                   "must be 0 where the application places the buffers (memory_hooks.placed)");
  }
  return Nothing{};
}

std::uint64_t buffer_bytes(const InterfaceConfig& config) {
  return (std::uint64_t{config.rx_queues} + config.tx_queues) * config.ring_size * detail::buffer_stride(config);
}

std::uint64_t ring_bytes(const InterfaceConfig& config) {
  return detail::rings_bytes(std::size_t{config.rx_queues} + config.tx_queues,
                             static_cast<unsigned>(std::countr_zero(config.ring_size)));
}

Status check_pool(const InterfaceConfig& config) {
  if (config.memory || config.memory_hooks)
    return Error{Errc::invalid_config, "pool: excludes memory and memory_hooks, since the buffers are the pool's"};
  if (config.buffer_size != config.pool->buffer_size())
    return invalid("buffer_size", std::to_string(config.buffer_size),
                   "must be that of the pool (" + std::to_string(config.pool->buffer_size()) + ")");
  const std::size_t need = Pool::buffers_for(config), have = config.pool->buffers();
  if (need <= have) return Nothing{};
  return Error{Errc::invalid_config,
               "pool of " + std::to_string(have) + " buffers: the rings of each link need " + std::to_string(need)};
}

Status check_memory(const InterfaceConfig& config) {
  if (config.max_peer_memory < least_peer_memory)
    return invalid("max_peer_memory", std::to_string(config.max_peer_memory),
                   "must be at least " + std::to_string(least_peer_memory));
  if (config.role == Role::server) return Nothing{};  // the memory is its clients'
  if (config.pool) return check_pool(config);
  const std::uint64_t need = buffer_bytes(config);
  const std::uint64_t rings = detail::own_memory(config) ? ring_bytes(config) : 0;
  if (need + rings >= detail::offset_limit) {
    return Error{Errc::invalid_config, "ring_size " + std::to_string(config.ring_size) + ", buffer_size " +
                                           std::to_string(config.buffer_size) + " and " +
                                           std::to_string(config.rx_queues + config.tx_queues) + " queues need " +
                                           std::to_string(need + rings) +
                                           " bytes of memory: must be less than 4294967296"};
  }
  if (!config.memory) return Nothing{};
  const ExternalMemory& memory = *config.memory;
  if (memory.fd < 0) return invalid("memory.fd", std::to_string(memory.fd), "must be an open file descriptor");
  if (memory.offset % memory_unit != 0) {
    return invalid("memory.offset", std::to_string(memory.offset), "must be a multiple of 64");
  }
  if (memory.offset >= detail::offset_limit - need) {
    return invalid("memory.offset", std::to_string(memory.offset),
                   "must leave the end of the buffers (" + std::to_string(need) + " bytes) below 4294967296");
  }
  if (memory.size < memory.offset + need) {
    return invalid("memory.size", std::to_string(memory.size),
                   "must be at least " + std::to_string(memory.offset + need) +
                       ", the offset and one buffer for each descriptor of each ring");
  }
  return Nothing{};
}

template <class Duration>
Status check_duration(const char* field, Duration value, Duration least, const char* unit) {
  if (value >= least && value <= longest) return Nothing{};
  return invalid(field, std::to_string(value.count()) + " " + unit,
                 "must be from " + std::to_string(least.count()) + " to " + std::to_string(Duration(longest).count()) +
                     " " + unit);
}

Status check_durations(const InterfaceConfig& config) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  if (Status status = check_duration("spin", config.spin, microseconds(0), "us"); !status) return status;
  if (Status status = check_duration("reconnect", config.reconnect, milliseconds(0), "ms"); !status) return status;
  return check_duration("handshake_timeout", config.handshake_timeout, milliseconds(1), "ms");
}

}  // namespace

const char* to_string(Role role) noexcept {
  switch (role) {
    case Role::client:
      return "client";
    case Role::server:
      return "server";
  }
  return "unknown";
}

const char* to_string(Mode mode) noexcept {
  switch (mode) {
    case Mode::ethernet:
      return "ethernet";
    case Mode::ip:
      return "ip";
    case Mode::punt_inject:
      return "punt/inject";
  }
  return "unknown";
}

const char* to_string(RxMode mode) noexcept {
  switch (mode) {
    case RxMode::polling:
      return "polling";
    case RxMode::interrupt:
      return "interrupt";
    case RxMode::adaptive:
      return "adaptive";
  }
  return "unknown";
}

Status validate(const InterfaceConfig& config) {
  for (const auto check : {check_enums, check_socket, check_queues, check_memory, check_durations}) {
    if (Status status = check(config); !status) return status;
  }
  if (Status status = check_text("secret", config.secret.size(), secret_width); !status) return status;
  return check_text("name", config.name.size(), name_width);
}

}  // namespace memif
