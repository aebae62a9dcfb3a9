#include "protocol/channel.hpp"

#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "support/confined.hpp"
#include "support/lingering.hpp"
#include "support/resources.hpp"

namespace memif {
namespace {

using Receive = Channel::Receive;
using Left = Datagram::Left;

std::size_t open_fds() { return test::open_descriptors(); }

message::Bytes filled(unsigned char value) {
  message::Bytes bytes;
  bytes.fill(std::byte{value});
  return bytes;
}

ino_t inode_of(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

class ChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    before_ = open_fds();
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    channel_ = std::make_unique<Channel>(Fd(pair[0]));
    channel_->take_fds();
    peer_.reset(pair[1]);
  }
  void TearDown() override {
    channel_.reset();
    peer_.reset();
    datagram_.fds.clear();
    EXPECT_EQ(open_fds(), before_) << "descriptors leaked";
  }

  // What only a hostile peer sends: any length, any number of descriptors, in one or two control messages.
  ssize_t raw_send(std::size_t length, const std::vector<int>& fds = {}) {
    std::vector<char> body(length, 'x');
    iovec part{body.data(), body.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
    if (!fds.empty()) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      cmsghdr* const rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
    }
    return ::sendmsg(peer_.get(), &header, MSG_NOSIGNAL);
  }

  // Leaves no room: the next send has to wait.
  void fill_up() {
    const int small = 1;
    ASSERT_EQ(::setsockopt(channel_->fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    for (filled_ = 0; !channel_->wants_write(); ++filled_) channel_->send(filled(0xee));
  }

  Receive receive() { return channel_->receive(datagram_).value(); }

  std::size_t before_ = 0;
  std::unique_ptr<Channel> channel_;
  Fd peer_;
  Datagram datagram_;
  int filled_ = 0;
};

TEST_F(ChannelTest, MessageAndDescriptorArriveWhole) {
  Channel other(std::move(peer_));
  other.take_fds();
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  other.send(filled(7), event.get());
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.length, message::size);
  EXPECT_EQ(datagram_.bytes, filled(7));
  ASSERT_EQ(datagram_.fds.size(), 1u);
  EXPECT_EQ(inode_of(datagram_.fds.front().get()), inode_of(event.get()));
  EXPECT_TRUE(::fcntl(datagram_.fds.front().get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_EQ(receive(), Receive::nothing);
  EXPECT_TRUE(datagram_.fds.empty());
}

TEST_F(ChannelTest, NothingWaitsAndTheEndIsSeen) {
  EXPECT_EQ(receive(), Receive::nothing);
  peer_.reset();
  EXPECT_EQ(receive(), Receive::closed);
  EXPECT_EQ(receive(), Receive::closed);
}

TEST_F(ChannelTest, BlockingSocketDoesNotBlock) {
  ASSERT_EQ(::fcntl(channel_->fd(), F_SETFL, 0), 0);
  EXPECT_EQ(receive(), Receive::nothing);
  fill_up();
  EXPECT_FALSE(channel_->flush());
}

TEST_F(ChannelTest, WhatWasSentBeforeTheEndIsStillReceived) {
  raw_send(128);
  raw_send(128);
  peer_.reset();
  EXPECT_EQ(receive(), Receive::message);
  EXPECT_EQ(receive(), Receive::message);
  EXPECT_EQ(receive(), Receive::closed);
}

// The peer refuses us and closes without having read what we had pipelined: the kernel reports a reset first.
TEST_F(ChannelTest, LastWordsSurviveAReset) {
  channel_->send(filled(1));
  raw_send(128);
  peer_.reset();
  EXPECT_EQ(receive(), Receive::message);
  EXPECT_EQ(receive(), Receive::closed);
}

// Killed while its message is looked at.
TEST_F(ChannelTest, AMessageIsTakenOnceThoughItsSenderIsReset) {
  channel_->send(filled(7));  // which the peer does not read: closing resets the connection
  raw_send(message::size);
  raw_send(message::size - 1);
  ASSERT_EQ(channel_->look(datagram_).value(), Channel::Receive::message);
  ASSERT_EQ(datagram_.length, message::size);
  peer_.reset();
  channel_->discard();
  ASSERT_EQ(channel_->receive(datagram_).value(), Channel::Receive::message);
  EXPECT_EQ(datagram_.length, message::size - 1);
  EXPECT_EQ(channel_->receive(datagram_).value(), Channel::Receive::closed);
}

TEST_F(ChannelTest, LastWordsSurviveAFailedSend) {
  raw_send(128);
  peer_.reset();
  channel_->send(filled(1));
  EXPECT_EQ(channel_->failure(), Errc::peer_gone);
  EXPECT_FALSE(channel_->wants_write());
  EXPECT_EQ(receive(), Receive::message);
  EXPECT_EQ(receive(), Receive::closed);
}

TEST_F(ChannelTest, ShortAndLongDatagramsShowTheirLength) {
  raw_send(127);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.length, 127u);
  EXPECT_EQ(datagram_.bytes[126], std::byte{'x'});
  EXPECT_EQ(datagram_.bytes[127], std::byte{0});
  raw_send(4000);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.length, 4000u);
  raw_send(1);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.length, 1u);
  EXPECT_EQ(datagram_.bytes[1], std::byte{0});
}

TEST_F(ChannelTest, EmptyDatagramIsAMessageWhileThePeerIsThere) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  raw_send(0, {event.get()});
  raw_send(128);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.length, 0u);
  EXPECT_EQ(datagram_.fds.size(), 1u);
  EXPECT_EQ(receive(), Receive::message);
}

TEST_F(ChannelTest, EmptyDatagramIsAMessageThoughNothingFollows) {
  raw_send(0);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.length, 0u);
  EXPECT_EQ(receive(), Receive::nothing);
}

TEST_F(ChannelTest, EmptyDatagramOfAPeerThatLeftIsTheEnd) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  raw_send(0, {event.get()});
  peer_.reset();
  EXPECT_EQ(receive(), Receive::closed);
  EXPECT_TRUE(datagram_.fds.empty());
}

TEST_F(ChannelTest, AllDescriptorsOfOneMessageAreOwned) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(raw_send(128, {event.get(), event.get()}), 128);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.fds.size(), 2u);
  EXPECT_EQ(datagram_.left, Left::none);
  for (SharedFd& fd : datagram_.fds) EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
}

// What no good peer sends would only have to be closed again.
TEST_F(ChannelTest, OfManyDescriptorsInOneMessageNoMoreThanTwoAreTaken) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(raw_send(128, std::vector<int>(253, event.get())), 128);
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(open_fds(), before_ + 2 + 1 + 2);
  EXPECT_EQ(datagram_.fds.size(), 2u);
  EXPECT_EQ(datagram_.left, Left::too_many);
}

TEST_F(ChannelTest, ReceivingAgainClosesWhatNobodyTook) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(raw_send(128, {event.get(), event.get()}), 128);
    ASSERT_EQ(receive(), Receive::message);
  }
}

// A quarter of what this process may have open.
TEST_F(ChannelTest, NoDescriptorIsTakenWhileTooManyAreStillBeingClosedWhoeversTheyAre) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(raw_send(128, {event.get()}), 128);
  {
    const test::DescriptorLimit limit(400);
    std::vector<test::Lingering> lingering(110);
    uid_t user = 4000;
    for (test::Lingering& one : lingering)
      deferred::close(one.give(), user++, deferred::Place(deferred::Kind::strange));
    ASSERT_EQ(receive(), Receive::message);
    EXPECT_EQ(datagram_.left, Left::not_now);
    EXPECT_TRUE(datagram_.fds.empty());
  }
  static_cast<void>(open_fds());
  ASSERT_EQ(receive(), Receive::message);
  EXPECT_EQ(datagram_.left, Left::none);
  EXPECT_EQ(datagram_.fds.size(), 1u);
}

TEST_F(ChannelTest, DescriptorLimitIsReportedAsTruncation) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(raw_send(128, {event.get(), event.get()}), 128);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int highest = ::dup(event.get());
  ::close(highest);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(highest) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const Receive result = receive();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(result, Receive::message);
  EXPECT_EQ(datagram_.left, Left::too_many);
  EXPECT_EQ(datagram_.fds.size(), 1u);
}

TEST_F(ChannelTest, DescriptorThatThisProcessHasNoRoomForIsItsOwnTrouble) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(raw_send(128, {event.get()}), 128);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(event.get());
  ::close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const Result<Receive> result = channel_->receive(datagram_);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, std::errc::too_many_files_open);
  EXPECT_NE(result.error().message.find("this process"), std::string::npos) << result.error().message;
}

TEST_F(ChannelTest, CredentialsThatAListenerAskedForDoNotDisturb) {
  const int on = 1;
  const int raw = channel_->fd();
  ASSERT_EQ(::setsockopt(raw, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
  ::setsockopt(raw, SOL_SOCKET, 76, &on, sizeof on);  // SO_PASSPIDFD
  Channel again(Fd(::fcntl(raw, F_DUPFD_CLOEXEC, 0)));
  again.take_fds();
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(raw_send(128, {event.get(), event.get()}), 128);
  ASSERT_EQ(again.receive(datagram_).value(), Receive::message);
  EXPECT_EQ(datagram_.fds.size(), 2u);
  EXPECT_EQ(datagram_.left, Left::none);
}

TEST_F(ChannelTest, WhatDoesNotFitWaitsInOrderWithItsDescriptor) {
  fill_up();
  {
    const Fd event(::eventfd(0, EFD_CLOEXEC));
    channel_->send(filled(1), event.get());  // our own copy may go now
  }
  channel_->send(filled(2));
  EXPECT_TRUE(channel_->wants_write());
  EXPECT_FALSE(channel_->failure());
  EXPECT_FALSE(channel_->flush());

  Channel other(std::move(peer_));
  other.take_fds();
  std::vector<message::Bytes> received;
  std::size_t fds = 0;
  for (bool done = false; !done;) {
    while (other.receive(datagram_).value() == Receive::message) {
      received.push_back(datagram_.bytes);
      fds += datagram_.fds.size();
    }
    done = !channel_->wants_write();
    channel_->flush();
  }
  ASSERT_EQ(received.size(), static_cast<std::size_t>(filled_) + 2);
  EXPECT_EQ(received[received.size() - 2], filled(1));
  EXPECT_EQ(received.back(), filled(2));
  EXPECT_EQ(fds, 1u);
}

TEST_F(ChannelTest, PeerThatNeverReadsMakesItFail) {
  fill_up();  // one waits
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  for (int i = 1; i < 16; ++i) channel_->send(filled(0), event.get());
  EXPECT_FALSE(channel_->failure());
  channel_->send(filled(0), event.get());
  EXPECT_EQ(channel_->failure(), std::errc::no_buffer_space);
  EXPECT_FALSE(channel_->wants_write());
  channel_->send(filled(0));
  EXPECT_TRUE(channel_->flush());
}

TEST_F(ChannelTest, PeerThatGoesWhileMessagesWaitMakesItFail) {
  fill_up();
  peer_.reset();
  EXPECT_TRUE(channel_->flush());
  EXPECT_EQ(channel_->failure(), Errc::peer_gone);
}

TEST_F(ChannelTest, KnowsWhoThePeerIs) {
  const auto credentials = channel_->credentials();
  ASSERT_TRUE(credentials);
  EXPECT_EQ((*credentials).pid, ::getpid());
  EXPECT_EQ((*credentials).uid, ::geteuid());
  EXPECT_EQ((*credentials).gid, ::getegid());
}

}  // namespace
}  // namespace memif
