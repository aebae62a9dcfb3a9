// Publications that no library wrote are told from those of programs, and cost no more.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <memif/fd.hpp>
#include <memif/observe.hpp>

#include "observe/published.hpp"
#include "unit/observe/observe_fixture.hpp"

namespace memif {
namespace {

using test::Damaged;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(Damaged, WholeOnesAreRead) {
  const Fd file = publish(identity());
  EXPECT_THAT(observe(::getpid()).value().interfaces, SizeIs(1));
}

TEST_F(Damaged, TooShort) {
  const Fd file = publish(identity(), 100);
  expect_refused("too short");
}

TEST_F(Damaged, CouldShrink) {
  const Fd file = publish(identity(), layout.size, 0);
  expect_refused("could shrink");
}

TEST_F(Damaged, OfAnotherVersion) {
  auto other = identity();
  other.version = 99;
  const Fd file = publish(other);
  expect_refused("version 99");
}

TEST_F(Damaged, MoreQueuesThanFit) {
  auto other = identity();
  other.tx_queues = 200;
  const Fd file = publish(other);
  expect_refused("out of range");
}

TEST_F(Damaged, MoreQueuesThanThereCanBe) {
  auto other = identity();
  other.rx_queues = 60000;
  const Fd file = publish(other);
  expect_refused("out of range");
}

// Whoever unmaps it last frees all of it.
TEST_F(Damaged, LongerThanAnyIs) {
  const Fd file = publish(identity(), 8 << 20);
  expect_refused("too long");
}

TEST_F(Damaged, AChangeWithoutEnd) {
  const Fd file = publish(identity(), layout.size, F_SEAL_SHRINK, 1);
  expect_refused("does not end");
}

TEST_F(Damaged, NoMagicIsNothing) {
  auto other = identity();
  other.magic = 1;
  const Fd file = publish(other);
  EXPECT_THAT(observe(::getpid()).value().interfaces, IsEmpty());
}

TEST_F(Damaged, OnesThatFillTheLimitsAreSkipped) {
  std::vector<Fd> files;
  for (std::size_t bytes = 0; bytes < (3u << 19); bytes += layout.size) files.push_back(publish(identity()));
  const auto seen = observe(::getpid()).value();
  EXPECT_LE(seen.interfaces.size(), (1u << 20) / layout.size);
  EXPECT_GE(seen.interfaces.size(), 500u);
  EXPECT_GE(seen.skipped, 1u);
  EXPECT_THAT(seen.why->message, HasSubstr("more than is looked at"));
}

TEST_F(Damaged, ChangesWithoutEndHoldNobodyUpTogether) {
  std::vector<Fd> files;
  for (int i = 0; i < 200; ++i) files.push_back(publish(identity(), layout.size, F_SEAL_SHRINK, 1));
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(observe(::getpid()).value().skipped, 200u);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));  // one twentieth each were ten
}

TEST_F(Damaged, ATextWithoutEndAndWithControlCharacters) {
  auto other = identity();
  std::memset(other.app_name.bytes, '\x07', sizeof other.app_name.bytes);
  const Fd file = publish(other);
  EXPECT_EQ(observe(::getpid()).value().interfaces.at(0).app_name, std::string(32, '?'));
}

TEST_F(Damaged, RandomBytesBehindTheIdentity) {
  std::uint64_t state = 88172645463325252u;
  for (int round = 0; round < 200; ++round) {
    Fd file = publish(identity(), layout.size, 0);
    for (std::size_t at = sizeof(published::Identity); at + 8 <= layout.size; at += 8) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      const std::uint64_t word = at == sizeof(published::Identity) ? state & ~1u : state;
      ASSERT_EQ(::pwrite(file.get(), &word, 8, static_cast<off_t>(at)), 8);
    }
    ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    static_cast<void>(observe(::getpid()));
  }
}

}  // namespace
}  // namespace memif
