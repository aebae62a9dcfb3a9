// What the tests of publishing and observing share: both ends in this process, and publications that no library wrote.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "observe/published.hpp"
#include "support/pair.hpp"

namespace memif::test {

// What this process publishes on a socket, server first.
inline std::vector<ObservedInterface> seen_on(const std::string& socket) {
  auto all = observe(::getpid()).value().interfaces;
  std::erase_if(all, [&](const ObservedInterface& one) { return one.socket != socket; });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.role > b.role; });
  return all;
}

// A server and a client that publish.
struct Published {
  explicit Published(InterfaceConfig config = {.socket = ""}) : socket(unique_socket()) {
    config.socket = socket;
    config.role = Role::server;
    server = &context.add(config);
    config.role = Role::client;
    client = &context.add(config);
  }
  bool connect() {
    return poll_until({&context}, [this] { return server->connected() && client->connected(); });
  }

  std::string socket;
  Context context{{.app_name = "observed", .publish = true}};
  Interface *server = nullptr, *client = nullptr;
};

inline bool lock(const Fd& file) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(file.get(), F_SETLK, &whole) == 0;
}

// A test whose publications are made by hand.
class Damaged : public testing::Test {
 protected:
  static constexpr published::Layout layout{1, 1};

  static published::Identity identity() {
    published::Identity identity{};
    identity.magic = published::magic;
    identity.version = published::version;
    identity.pid = ::getpid();
    identity.rx_queues = identity.tx_queues = 1;
    return identity;
  }

  // A memory file as a publisher leaves it.
  Fd publish(const published::Identity& identity, std::size_t size = layout.size, int seals = F_SEAL_SHRINK,
             std::uint64_t sequence = 0) {
    Fd file(::memfd_create(published::file_name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    std::vector<std::byte> bytes(std::max(size, sizeof identity + 8));
    std::memcpy(bytes.data(), &identity, sizeof identity);
    std::memcpy(bytes.data() + sizeof identity, &sequence, sizeof sequence);
    EXPECT_EQ(::write(file.get(), bytes.data(), size), static_cast<ssize_t>(size));
    EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
    EXPECT_TRUE(lock(file));
    return file;
  }
  static void expect_refused(const std::string& why) {
    Published others;
    const auto seen = observe(::getpid()).value();
    EXPECT_THAT(seen.interfaces, testing::SizeIs(2));  // which are not blinded
    EXPECT_EQ(seen.skipped, 1u);
    ASSERT_TRUE(seen.why);
    EXPECT_EQ(seen.why->code, Errc::bad_region);
    EXPECT_THAT(seen.why->message, testing::HasSubstr(why));
  }
};

}  // namespace memif::test
