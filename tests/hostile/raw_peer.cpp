#include "raw_peer.hpp"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace memif::hostile {
namespace {

constexpr int patience_ms = 10'000;

std::pair<sockaddr_un, socklen_t> abstract_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, path.data() + 1, path.size() - 1);
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())};
}

void check(bool good, const char* what) {
  if (!good) give_up(std::string(what) + ": " + std::strerror(errno));
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, patience_ms) == 1;
}

std::byte* map(int fd, std::size_t size) {
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  check(at != MAP_FAILED, "mmap");
  return static_cast<std::byte*>(at);
}

}  // namespace

pid_t attacked_process = ::getppid();

void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

void until(const char* what, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) give_up(std::string("waited in vain: ") + what);
    ::poll(nullptr, 0, 1);
  }
}

void give_up(const std::string& why) {
  std::fprintf(stderr, "hostile peer: the attack could not be carried out: %s\n", why.c_str());
  ::_exit(3);
}

// --- Channel

void RawChannel::send(const message::Message& message, const std::vector<int>& fds) {
  const message::Bytes bytes = message::emit(message);
  send_bytes(bytes, fds);
}

void RawChannel::send_type(std::uint16_t type) {
  message::Bytes bytes{};
  std::memcpy(bytes.data(), &type, sizeof type);
  send_bytes(bytes);
}

void RawChannel::send_bytes(std::span<const std::byte> bytes, const std::vector<int>& fds) {
  iovec body{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  std::vector<std::byte> control(CMSG_SPACE(fds.size() * sizeof(int)));
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  const ssize_t sent = ::sendmsg(socket_, &header, MSG_NOSIGNAL);
  if (sent < 0 && errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN) check(false, "sendmsg");
}

RawChannel::Received RawChannel::receive() {
  message::Bytes bytes{};
  iovec body{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(8 * sizeof(int))> control;
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  if (!readable(socket_)) give_up("the victim says nothing");
  if (::recvmsg(socket_, &header, 0) <= 0) give_up("the victim hung up");
  Received received{message::parse(bytes).value(), {}};
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    int fd;
    std::memcpy(&fd, CMSG_DATA(one), sizeof fd);
    received.fds.push_back(keep(fd));
  }
  return received;
}

bool RawChannel::hung_up() {
  std::byte rest[256];
  while (readable(socket_))
    if (::recv(socket_, rest, sizeof rest, 0) <= 0) return true;
  return false;
}

void RawChannel::close_socket() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void RawChannel::close_all() {
  close_socket();
  for (const int fd : kept_) ::close(fd);
  kept_.clear();
}

// --- Client

RawClient::~RawClient() {
  if (base != nullptr) ::munmap(base, size);
}

void RawClient::open() {
  close_socket();
  socket_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  check(socket_ >= 0, "socket");
  const std::pair<sockaddr_un, socklen_t> to = abstract_address(path_);
  // Observers see an interface a moment before it listens.
  until("somebody listens", [&] {
    const bool connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to.first), to.second) == 0;
    check(connected || errno == ECONNREFUSED, "connect");
    return connected;
  });
}

message::Init RawClient::init() const {
  return {0x0200, good_id, Mode::ethernet, message::to_secret(good_secret), "hostile"};
}

void RawClient::hello() {
  open();
  expect<message::Hello>();
}

void RawClient::admit() {
  hello();
  send(init());
  expect<message::Ack>();
}

void RawClient::make_memory() {
  memory = keep(::memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  check(memory >= 0 && ::ftruncate(memory, static_cast<off_t>(size)) == 0, "memfd");
  if (seal) check(::fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "seal");
  base = map(memory, size);
  s2m = RawRing(base);
  m2s = RawRing(base + 4096);
  s2m.cookie() = 0x3E31F20;
  m2s.cookie() = 0x3E31F20;
  for (int& event : events_) event = keep(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

void RawClient::region() {
  admit();
  make_memory();
  send(message::AddRegion{0, size}, {memory});
  expect<message::Ack>();
}

void RawClient::rings() {
  region();
  for (const bool to_server : {true, false}) {
    send(ring(to_server), {events_[to_server ? 0 : 1]});
    expect<message::Ack>();
  }
}

void RawClient::connect() {
  rings();
  send(message::Connect{"hostile"});
  expect<message::Connected>();
}

void RawClient::send_packet(std::uint32_t length) {
  const std::uint16_t head = s2m.head();
  volatile Slot& slot = s2m.slot(head);
  slot.flags = 0;
  slot.region = 0;
  slot.length = length;
  slot.offset = buffer(true, head);
  std::memcpy(base + buffer(true, head), "GOOD", 4);
  fence();
  s2m.head() = plus(head, 1);
}

void RawClient::stream(unsigned packets) {
  for (; packets != 0; --packets) {
    until("room in the ring", [this] { return plus(s2m.head(), -s2m.tail()) < ring_size; });
    send_packet();
  }
  until("the victim takes all packets", [this] { return s2m.head() == s2m.tail(); });
}

void RawClient::post_all() {
  for (std::uint16_t i = 0; i < ring_size; ++i) {
    volatile Slot& slot = m2s.slot(i);
    slot.flags = 0;
    slot.region = 0;
    slot.length = buffer_size;
    slot.offset = buffer(false, i);
  }
  fence();
  m2s.head() = plus(m2s.tail(), ring_size);
}

// --- Server

RawServer::~RawServer() {
  for (const Mapped& region : regions) ::munmap(region.base, region.size);
  if (listening_ >= 0) ::close(listening_);
}

void RawServer::listen() {
  listening_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  check(listening_ >= 0, "socket");
  const auto [address, length] = abstract_address(path_);
  check(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), length) == 0, "bind");
  check(::listen(listening_, 4) == 0, "listen");
}

void RawServer::accept() {
  if (!readable(listening_)) give_up("nobody connects");
  socket_ = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
  check(socket_ >= 0, "accept");
}

void RawServer::hello() {
  accept();
  send(greeting());
  expect<message::Init>();
}

void RawServer::admit() {
  hello();
  send(message::Ack{});
}

void RawServer::layout() {
  admit();
  for (;;) {
    const Received received = receive();
    if (std::holds_alternative<message::Connect>(received.message)) return;
    if (const auto* region = std::get_if<message::AddRegion>(&received.message)) {
      regions.push_back({map(received.fds.at(0), region->size), region->size, received.fds.at(0)});
    } else if (const auto* ring = std::get_if<message::AddRing>(&received.message)) {
      (ring->s2m ? s2m : m2s) = RawRing(regions.at(ring->region).base + ring->offset);
      events.push_back(received.fds.at(0));
    }
    send(message::Ack{});
  }
}

void RawServer::connect() {
  layout();
  send(message::Connected{"evil"});
  until("the client posts its buffers", [this] { return m2s.head() != 0; });
}

void RawServer::send_packet(const char* text) {
  const std::uint16_t tail = m2s.tail();
  volatile Slot& slot = m2s.slot(tail);
  std::memcpy(regions.at(slot.region).base + slot.offset, text, 4);
  slot.length = 64;
  slot.flags = 0;
  fence();
  m2s.tail() = plus(tail, 1);
}

void RawServer::stream(unsigned packets) {
  for (; packets != 0; --packets) {
    until("a posted buffer", [this] { return m2s.head() != m2s.tail(); });
    send_packet();
  }
  until("the client posts all again", [this] { return plus(m2s.head(), -m2s.tail()) == ring_size; });
}

// --- Descriptors

void ring_bell(int event) {
  const std::uint64_t one = 1;
  check(::write(event, &one, sizeof one) == sizeof one, "write to an eventfd");
}

// The victim may signal meanwhile; then it is full all the same. Or empty it, again and again; then it was full.
void fill_event(int event) {
  std::uint64_t count = 0;
  check(::fcntl(event, F_SETFL, O_NONBLOCK) == 0, "F_SETFL");
  if (::read(event, &count, sizeof count) < 0) check(errno == EAGAIN, "read");
  count = ~std::uint64_t{0} - 1;
  for (int writes = 0; count != 0 && writes < 1000; ++writes) {
    if (::write(event, &count, sizeof count) < 0) count /= 2;
  }
  check(::fcntl(event, F_SETFL, 0) == 0, "F_SETFL");
}

int make_pipe(RawChannel& owner) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
  owner.keep(ends[0]);
  return owner.keep(ends[1]);
}

int make_memfd(RawChannel& owner, std::size_t size) {
  const int fd = owner.keep(::memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  check(fd >= 0 && ::ftruncate(fd, static_cast<off_t>(size)) == 0, "memfd");
  return fd;
}

int make_socket(RawChannel& owner) {
  int ends[2];
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  owner.keep(ends[0]);
  return owner.keep(ends[1]);
}

int make_file(RawChannel& owner) {
  char name[] = "/var/tmp/hostile-[eventfd]-XXXXXX";  // where /tmp may be memory, this is not
  const int fd = owner.keep(::mkostemp(name, O_CLOEXEC));
  check(fd >= 0 && ::unlink(name) == 0 && ::ftruncate(fd, 1 << 20) == 0, "file");
  return fd;
}

int open_path(RawChannel& owner, const char* path, int flags) {
  const int fd = owner.keep(::open(path, flags | O_CLOEXEC));
  check(fd >= 0, path);
  return fd;
}

}  // namespace memif::hostile
