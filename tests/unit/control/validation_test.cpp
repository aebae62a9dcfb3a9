#include <functional>
#include <gtest/gtest.h>

#include <memif/config.hpp>
#include <memif/pool.hpp>

namespace memif {
namespace {

struct Case {
  const char* name;
  std::function<void(InterfaceConfig&)> change;
  std::string message;  // "" : valid
};

ExternalMemory memory(int fd, std::uint64_t size, std::uint64_t offset) { return {fd, size, offset}; }

class ConfigTest : public testing::TestWithParam<Case> {};

TEST_P(ConfigTest, IsJudgedFieldByField) {
  InterfaceConfig config;
  GetParam().change(config);
  const Status status = validate(config);
  EXPECT_EQ(status.ok(), GetParam().message.empty());
  if (status.ok()) return;
  EXPECT_EQ(status.error().code, Errc::invalid_config);
  EXPECT_EQ(status.error().message, GetParam().message);
}

// 2 rings of 1024 buffers of 2048 bytes.
constexpr std::uint64_t default_buffers = 4194304;

const Case cases[] = {
    {"Defaults", [](auto&) {}, ""},
    {"RingSizeNotAPower", [](auto& c) { c.ring_size = 15; }, "ring_size 15: must be a power of two from 2 to 16384"},
    {"RingSizeZero", [](auto& c) { c.ring_size = 0; }, "ring_size 0: must be a power of two from 2 to 16384"},
    {"RingSizeOne", [](auto& c) { c.ring_size = 1; }, "ring_size 1: must be a power of two from 2 to 16384"},
    {"RingSizeAbove", [](auto& c) { c.ring_size = 32768; }, "ring_size 32768: must be a power of two from 2 to 16384"},
    {"RingSizeLargest", [](auto& c) { c.ring_size = 16384; }, ""},
    {"RingSizeSmallest", [](auto& c) { c.ring_size = 2; }, ""},
    {"NoRxQueue", [](auto& c) { c.rx_queues = 0; }, "rx_queues 0: must be from 1 to 256"},
    {"TooManyTxQueues", [](auto& c) { c.tx_queues = 257; }, "tx_queues 257: must be from 1 to 256"},
    {"BufferSizeOdd", [](auto& c) { c.buffer_size = 1500; }, ""},
    {"BufferSizeSmallest", [](auto& c) { c.buffer_size = 1; }, ""},
    {"BufferSizeZero", [](auto& c) { c.buffer_size = 0; }, "buffer_size 0: must be from 1 to 1048576"},
    {"BufferSizeAbove", [](auto& c) { c.buffer_size = (1u << 20) + 1; },
     "buffer_size 1048577: must be from 1 to 1048576"},
    {"PacketSmallest", [](auto& c) { c.max_packet = 1; }, ""},
    {"PacketZero", [](auto& c) { c.max_packet = 0; }, "max_packet 0: must be from 1 to 268435456"},
    {"PacketAbove", [](auto& c) { c.max_packet = (1u << 28) + 1; },
     "max_packet 268435457: must be from 1 to 268435456"},
    {"PoolThatHasEnough", [](auto& c) { c.pool = Pool::create({.buffers = 2048}).value(); }, ""},
    {"PoolTooSmall", [](auto& c) { c.pool = Pool::create({.buffers = 2047}).value(); },
     "pool of 2047 buffers: the rings of each link need 2048"},
    {"PoolOfOtherBuffers", [](auto& c) { c.pool = Pool::create({.buffers = 2048, .buffer_size = 512}).value(); },
     "buffer_size 2048: must be that of the pool (512)"},
    {"PoolAndMemory",
     [](auto& c) {
       c.pool = Pool::create({.buffers = 2048}).value();
       c.memory = ExternalMemory{};
     },
     "pool: excludes memory and memory_hooks, since the buffers are the pool's"},
    {"HeadroomFillsBuffer", [](auto& c) { c.headroom = 2048; }, "headroom 2048: must be less than buffer_size (2048)"},
    {"HeadroomLargest", [](auto& c) { c.headroom = 2047; }, ""},
    {"HeadroomInPlacedBuffers",
     [](auto& c) {
       c.headroom = 64;
       c.memory_hooks = std::make_shared<MemoryHooks>(MemoryHooks{.placed = true});
     },
     "headroom 64: must be 0 where the application places the buffers (memory_hooks.placed)"},
    {"TooMuchMemory",
     [](auto& c) {
       c.ring_size = 16384;
       c.buffer_size = 1u << 17;
     },
     "ring_size 16384, buffer_size 131072 and 2 queues need 4297592832 bytes of memory: must be less than 4294967296"},
    {"ServerOfManyLargeRings",
     [](auto& c) {
       c.role = Role::server;
       c.ring_size = 16384;
       c.rx_queues = c.tx_queues = 256;
     },
     ""},
    {"PeerMemoryLeast", [](auto& c) { c.max_peer_memory = 4096; }, ""},
    {"PeerMemoryOfLessThanAPage", [](auto& c) { c.max_peer_memory = 4095; },
     "max_peer_memory 4095: must be at least 4096"},
    {"SecretLongest", [](auto& c) { c.secret = std::string(24, 's'); }, ""},
    {"SecretTooLong", [](auto& c) { c.secret = std::string(25, 's'); }, "secret of 25 bytes: must be at most 24 bytes"},
    {"NameLongest", [](auto& c) { c.name = std::string(32, 'n'); }, ""},
    {"NameTooLong", [](auto& c) { c.name = std::string(33, 'n'); }, "name of 33 bytes: must be at most 32 bytes"},
    {"NoSocket", [](auto& c) { c.socket = ""; }, "socket \"\": must not be empty"},
    {"PathTooLong", [](auto& c) { c.socket = std::string(108, 'p'); },
     "socket \"" + std::string(108, 'p') + "\": the path is 108 bytes long, at most 107 are possible"},
    {"ModeTooWide", [](auto& c) { c.socket_file.mode = 01777; },
     "socket_file.mode 01777: must be permission bits from 0 to 0777"},
    {"AbstractWithMode",
     [](auto& c) {
       c.socket = "@x";
       c.socket_file.mode = 0600;
     },
     "socket_file for @x: an abstract socket has no file, so no mode, owner or group either"},
    {"NegativeSpin", [](auto& c) { c.spin = std::chrono::microseconds(-1); },
     "spin -1 us: must be from 0 to 86400000000 us"},
    {"NegativeReconnect", [](auto& c) { c.reconnect = std::chrono::milliseconds(-2); },
     "reconnect -2 ms: must be from 0 to 86400000 ms"},
    {"ReconnectForEver", [](auto& c) { c.reconnect = std::chrono::milliseconds(86400001); },
     "reconnect 86400001 ms: must be from 0 to 86400000 ms"},
    {"NoHandshakeTimeout", [](auto& c) { c.handshake_timeout = {}; },
     "handshake_timeout 0 ms: must be from 1 to 86400000 ms"},
    {"UnknownMode", [](auto& c) { c.mode = static_cast<Mode>(3); },
     "mode 3: must be ethernet (0), ip (1) or punt_inject (2)"},
    {"UnknownRole", [](auto& c) { c.role = static_cast<Role>(2); }, "role 2: must be client (0) or server (1)"},
    {"UnknownRxMode", [](auto& c) { c.rx_mode = static_cast<RxMode>(9); },
     "rx_mode 9: must be polling (0), interrupt (1) or adaptive (2)"},
    {"ExternalFits", [](auto& c) { c.memory = memory(0, default_buffers + 64, 64); }, ""},
    {"ExternalTooSmall", [](auto& c) { c.memory = memory(0, default_buffers, 64); },
     "memory.size 4194304: must be at least 4194368, the offset and one buffer for each descriptor of each ring"},
    {"ExternalMisaligned", [](auto& c) { c.memory = memory(0, 2 * default_buffers, 32); },
     "memory.offset 32: must be a multiple of 64"},
    {"ExternalWithoutFd", [](auto& c) { c.memory = memory(-1, default_buffers, 0); },
     "memory.fd -1: must be an open file descriptor"},
    {"ExternalOffsetOverflows", [](auto& c) { c.memory = memory(0, ~std::uint64_t{0}, ~std::uint64_t{63}); },
     "memory.offset 18446744073709551552: must leave the end of the buffers (4194304 bytes) below 4294967296"},
};

INSTANTIATE_TEST_SUITE_P(Fields, ConfigTest, testing::ValuesIn(cases),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(ConfigNames, AreWhatTheOperatorReads) {
  EXPECT_STREQ(to_string(Role::server), "server");
  EXPECT_STREQ(to_string(Mode::punt_inject), "punt/inject");
  EXPECT_STREQ(to_string(RxMode::adaptive), "adaptive");
  EXPECT_STREQ(to_string(static_cast<Mode>(77)), "unknown");
}

}  // namespace
}  // namespace memif
