// Captures that come through a pipe, as fast as somebody writes.
#include "capture/feed.hpp"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <memif/fd.hpp>

#include "common/command.hpp"

namespace memif::tool {
namespace {

using Next = CaptureFeed::Next;

class CaptureFeedTest : public testing::Test {
 protected:
  CaptureFeedTest() : path_(testing::TempDir() + "memif-feed-" + std::to_string(::getpid())) {
    std::remove(path_.c_str());
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~CaptureFeedTest() override { std::remove(path_.c_str()); }

  void make_pipe() const { ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0); }
  Fd writer() const { return Fd(::open(path_.c_str(), O_WRONLY | O_CLOEXEC)); }

  static bool put(const Fd& to, const std::vector<std::uint32_t>& words) {
    const auto size = static_cast<ssize_t>(words.size() * sizeof words[0]);
    return ::write(to.get(), words.data(), static_cast<std::size_t>(size)) == size;
  }
  static bool put_packet(const Fd& to, std::uint32_t number) { return put(to, {number, 0, 4, 4, number}); }

  // Waits until there is something to tell.
  static Next await(CaptureFeed& feed) {
    pollfd news{feed.fd(), POLLIN, 0};
    for (;;) {
      if (const Next next = feed.next(); next != Next::later) return next;
      EXPECT_EQ(::poll(&news, 1, 20'000), 1);
    }
  }
  static std::uint32_t number(const CaptureFeed& feed) {
    std::uint32_t value = 0;
    std::memcpy(&value, feed.packet().data.data(), sizeof value);
    return value;
  }

  const std::vector<std::uint32_t> head_{0xa1b23c4d, 0x00040002, 0, 0, 262144, 1};
  std::string path_;
};

TEST_F(CaptureFeedTest, TellsWhatHasComeAndThatMoreMayCome) {
  make_pipe();
  CaptureFeed feed(path_);
  EXPECT_EQ(feed.next(), Next::later);  // nobody writes
  Fd to = writer();
  ASSERT_TRUE(put(to, head_) && put_packet(to, 1) && put_packet(to, 2) && put(to, {3, 0}));
  for (const std::uint32_t expected : {1u, 2u}) {
    ASSERT_EQ(await(feed), Next::packet);
    EXPECT_EQ(number(feed), expected);
  }
  EXPECT_EQ(feed.next(), Next::later);  // not a whole packet
  ASSERT_TRUE(put(to, {4, 4, 3}));
  ASSERT_EQ(await(feed), Next::packet);
  EXPECT_EQ(number(feed), 3u);
  EXPECT_FALSE(feed.part_read());
  to.reset();
  EXPECT_EQ(await(feed), Next::end);
  EXPECT_EQ(feed.next(), Next::end);
}

TEST_F(CaptureFeedTest, GivesAllInOrderHoweverMuch) {
  make_pipe();
  CaptureFeed feed(path_);
  constexpr std::uint32_t packets = 50'000;
  std::thread thread([&] {
    const Fd to = writer();
    put(to, head_);
    for (std::uint32_t i = 0; i < packets; ++i) put_packet(to, i);
  });
  std::uint32_t expected = 0;
  while (await(feed) == Next::packet) EXPECT_EQ(number(feed), expected++);
  EXPECT_EQ(expected, packets);
  thread.join();
}

TEST_F(CaptureFeedTest, MayGoAtAnyTime) {
  make_pipe();
  { const CaptureFeed nobody_writes(path_); }
  for (const int taken : {0, 1}) {
    std::thread thread;
    {
      CaptureFeed feed(path_);
      thread = std::thread([this, to = writer()] {
        put(to, head_);
        while (put_packet(to, 0)) {
        }
      });
      for (int i = 0; i < taken; ++i) EXPECT_EQ(await(feed), Next::packet);
    }
    thread.join();
  }
}

TEST_F(CaptureFeedTest, TellsWhatIsWrongWhenItComes) {
  make_pipe();
  const auto after = [this](const std::vector<std::uint32_t>& bytes) {
    CaptureFeed feed(path_);
    feed.require(Mode::ip);
    put(writer(), bytes);
    return await(feed);
  };
  EXPECT_THROW(after({1, 2, 3, 4, 5, 6}), Failure);
  EXPECT_THROW(after(head_), UsageError);  // Ethernet
  std::vector<std::uint32_t> damaged = head_;
  damaged.back() = 101;  // IP
  damaged.push_back(1);
  EXPECT_THROW(after(damaged), CaptureDamaged);
}

TEST_F(CaptureFeedTest, TheModeIsKnownWhenTheHeadHasCome) {
  make_pipe();
  CaptureFeed feed(path_);
  std::thread thread([this] { put(writer(), head_); });
  EXPECT_EQ(feed.mode(), Mode::ethernet);
  thread.join();
  CaptureFeed empty(path_);
  std::thread nothing([this] { writer(); });
  EXPECT_THROW(empty.mode(), Failure);
  nothing.join();
}

TEST_F(CaptureFeedTest, AnOrdinaryFileHasNothingToWaitFor) {
  {
    const Fd to(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(put(to, head_) && put_packet(to, 7));
  }
  CaptureFeed feed(path_);
  EXPECT_EQ(feed.fd(), -1);
  EXPECT_THROW(feed.require(Mode::ip), UsageError);
  EXPECT_EQ(feed.next(), Next::packet);
  EXPECT_EQ(feed.next(), Next::end);
}

}  // namespace
}  // namespace memif::tool
