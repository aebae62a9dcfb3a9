// The other end of a control channel, whose steps are the test's: messages over a bare socket.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>
#include <variant>

#include <memif/memif.hpp>

#include "protocol/address.hpp"
#include "protocol/message.hpp"
#include "support/pair.hpp"

namespace memif::test {

inline Fd listen_at(const std::string& name) {
  Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const SocketAddress address = to_sockaddr(*parse_address(name));
  EXPECT_EQ(::bind(listener.get(), address.get(), address.length), 0);
  EXPECT_EQ(::listen(listener.get(), 100), 0);
  return listener;
}

// `context` is polled while it waits for the other end.
class Stranger {
 public:
  Stranger(Context& context, Fd socket) : context_(context), socket_(std::move(socket)) {}

  void say(const message::Message& message, int fd = -1) {
    const auto bytes = message::emit(message);
    say_bytes(bytes.data(), bytes.size(), fd);
  }
  void say_bytes(const void* bytes, std::size_t size, int fd = -1) {
    iovec data{const_cast<void*>(bytes), size};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))]{};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (fd >= 0) {
      header.msg_control = room;
      header.msg_controllen = sizeof room;
      cmsghdr* const head = CMSG_FIRSTHDR(&header);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    EXPECT_EQ(::sendmsg(socket_.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(size));
  }

  // The next message, which may come with a descriptor: fd(). None: the other end has closed.
  std::optional<message::Message> hear() {
    std::byte bytes[256];
    ssize_t length = -1;
    EXPECT_TRUE(poll_until({&context_}, [&] { return (length = receive(bytes, sizeof bytes)) >= 0; }));
    if (length <= 0) return std::nullopt;
    auto message = message::parse({bytes, static_cast<std::size_t>(length)});
    EXPECT_TRUE(message);
    return message ? std::optional(std::move(*message)) : std::nullopt;
  }
  // The same, if it is one of these.
  template <class T>
  std::optional<T> hear_one() {
    const std::optional<message::Message> message = hear();
    const T* const one = message ? std::get_if<T>(&*message) : nullptr;
    EXPECT_NE(one, nullptr) << (message ? message::name(*message) : "the end");
    return one != nullptr ? std::optional(*one) : std::nullopt;
  }
  const Fd& fd() const { return fd_; }
  // The other end does nothing, though it has had its turn.
  bool hears_nothing() {
    for (int i = 0; i < 3; ++i) context_.poll(std::chrono::milliseconds(0));
    std::byte byte;
    return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1;
  }
  void close() { socket_.reset(); }

 private:
  ssize_t receive(std::byte* bytes, std::size_t size) {
    iovec data{bytes, size};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))]{};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = room;
    header.msg_controllen = sizeof room;
    const ssize_t length = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) return length;
    fd_.reset();
    if (const cmsghdr* const head = CMSG_FIRSTHDR(&header)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
      fd_.reset(fd);
    }
    return length;
  }

  Context& context_;
  Fd socket_, fd_;
};

}  // namespace memif::test
