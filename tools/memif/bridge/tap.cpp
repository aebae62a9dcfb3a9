// memif bridge: a TAP interface of the kernel as a port.
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/netns.hpp"
#include "bridge/offload.hpp"
#include "bridge/port.hpp"
#include "common/command.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t tap_burst = 64;                       // frames, and what the last packet makes of them
constexpr std::size_t longest_read = 65536 + 64;            // an IP packet, Ethernet's header, and tags of VLANs
constexpr std::size_t burst_memory = std::size_t{2} << 20;  // of a burst

[[noreturn]] void fail(const std::string& what, int error) {
  const char* advice = error == EPERM || error == EACCES ? " (needs CAP_NET_ADMIN: run as root)"
                       : error == ENOENT                 ? " (is the kernel's module tun loaded?)"
                       : error == EBUSY                  ? " (another program has it)"
                       : error == EINVAL                 ? " (is it another kind of interface?)"
                                                         : "";
  throw Failure(exit_failed, fmt::format("cannot {}: {}{}", what, std::strerror(error), advice));
}

ifreq request(const std::string& name) {
  ifreq result{};
  name.copy(result.ifr_name, IFNAMSIZ - 1);
  return result;
}

void control(const Fd& socket, unsigned long operation, ifreq& argument, const std::string& what) {
  if (::ioctl(socket.get(), operation, &argument) != 0) fail(what, errno);
}

// One request to the kernel's routing interface, and its answer.
void add_address(unsigned index, const Prefix& prefix, const std::string& what) {
  const auto bytes = prefix.address.bytes();
  struct {
    nlmsghdr header;
    ifaddrmsg body;
    std::array<char, 64> attributes;
  } message{};
  message.header.nlmsg_type = RTM_NEWADDR;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  message.body.ifa_family = prefix.address.v6() ? AF_INET6 : AF_INET;
  message.body.ifa_prefixlen = static_cast<unsigned char>(prefix.length);
  message.body.ifa_flags = prefix.address.v6() ? IFA_F_NODAD : 0;  // usable at once
  message.body.ifa_index = index;
  std::size_t used = 0;
  for (const int type : {IFA_LOCAL, IFA_ADDRESS}) {
    const rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(bytes.size())), static_cast<unsigned short>(type)};
    std::memcpy(message.attributes.data() + used, &attribute, sizeof attribute);
    std::memcpy(message.attributes.data() + used + RTA_LENGTH(0), bytes.data(), bytes.size());
    used += RTA_SPACE(bytes.size());
  }
  message.header.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + sizeof(ifaddrmsg) + used);

  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    nlmsgerr body;
    std::array<char, 256> rest;
  } answer{};
  if (!socket || ::send(socket.get(), &message, message.header.nlmsg_len, 0) < 0 ||
      ::recv(socket.get(), &answer, sizeof answer, 0) < 0)
    fail(what, errno);
  if (answer.header.nlmsg_type == NLMSG_ERROR && answer.body.error != 0) fail(what, -answer.body.error);
}

// Creates the interface, or takes a persistent one. It goes when the descriptor is closed.
Fd create(const std::string& name) {
  Fd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd) fail("open /dev/net/tun", errno);
  ifreq wanted = request(name);
  wanted.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(fd.get(), TUNSETIFF, &wanted) != 0) fail("create the TAP interface " + name, errno);
  return fd;
}

void configure(const TapOptions& options) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) fail("open a socket", errno);
  ifreq change = request(options.name);
  if (options.mac) {
    change.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(change.ifr_hwaddr.sa_data, options.mac->data(), options.mac->size());
    control(socket, SIOCSIFHWADDR, change, fmt::format("give {} the MAC {}", options.name, to_string(*options.mac)));
  }
  if (options.mtu) {
    change.ifr_mtu = static_cast<int>(*options.mtu);
    control(socket, SIOCSIFMTU, change, fmt::format("set the MTU of {} to {}", options.name, *options.mtu));
  }
  control(socket, SIOCGIFINDEX, change, "find " + options.name);
  const auto index = static_cast<unsigned>(change.ifr_ifindex);
  for (const Prefix& address : options.addresses)
    add_address(index, address,
                fmt::format("give {} the address {}/{}", options.name, to_string(address.address), address.length));
  control(socket, SIOCGIFFLAGS, change, "ask for the state of " + options.name);
  change.ifr_flags = static_cast<short>(change.ifr_flags | IFF_UP);
  control(socket, SIOCSIFFLAGS, change, fmt::format("bring {} up", options.name));
}

class TapPort final : public BridgePort {
 public:
  explicit TapPort(const TapOptions& options) : BridgePort("tap:" + options.name), offload_(options.offload) {
    const Fd netns = open_netns(options.netns);
    const NetnsScope scope(netns);
    fd_ = create(options.name);
    // Without the kernel's consent all packets are as long as on a cable; nothing else changes.
    ::ioctl(fd_.get(), TUNSETOFFLOAD, offload_ ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0);
    configure(options);
  }
  // A persistent interface may get another program, which has not asked for long packets.
  ~TapPort() override { ::ioctl(fd_.get(), TUNSETOFFLOAD, 0); }

  bool arm(std::vector<pollfd>& descriptors) override {
    descriptors.push_back({fd_.get(), POLLIN, 0});
    return true;
  }

 private:
  void take(std::vector<Frame>& frames) override {
    std::span<std::uint8_t> room(memory_);
    while (frames.size() < tap_burst && room.size() >= longest_read + segments_room) {
      Offload how;
      const std::array parts{iovec{&how, sizeof how}, iovec{room.data(), longest_read}};
      const ssize_t size = ::readv(fd_.get(), parts.data(), parts.size());
      if (size < static_cast<ssize_t>(sizeof how)) {
        if (size < 0 && errno != EAGAIN && errno != EINTR) check_alive(errno);
        return;
      }
      const auto packet = room.first(static_cast<std::size_t>(size) - sizeof how);
      room = room.subspan(packet.size());
      const std::size_t before = frames.size();
      room = room.subspan(cut(how, packet, room.first(segments_room), frames));
      if (frames.size() == before) ++counters_.rx_dropped;
    }
  }

  void put(Frames frames) override {
    for (const Frame& frame : frames) {
      if (offload_ && joiner_.add(frame)) continue;
      flush();
      if (offload_ && joiner_.add(frame)) continue;
      Offload plain;
      const std::array parts{iovec{&plain, sizeof plain}, iovec{const_cast<std::byte*>(frame.data()), frame.size()}};
      if (::writev(fd_.get(), parts.data(), parts.size()) > 0) sent(frame);
    }
    flush();
  }

  void flush() {
    if (joiner_.frames().empty()) return;
    const auto parts = joiner_.packet();
    if (::writev(fd_.get(), parts.data(), static_cast<int>(parts.size())) > 0)
      for (const Frame& frame : joiner_.frames()) sent(frame);
    joiner_.clear();
  }

  // Somebody deleted the interface: nothing will ever come again. An interface that is down only loses what is sent.
  void check_alive(int error) const {
    if (error == EBADFD || error == ENODEV)
      throw Failure(exit_failed, fmt::format("{} is gone: somebody removed the interface", name()));
  }

  Fd fd_;
  bool offload_;
  Joiner joiner_;
  std::vector<std::uint8_t> memory_ = std::vector<std::uint8_t>(burst_memory);
};

}  // namespace

std::unique_ptr<BridgePort> open_port(const TapOptions& options) { return std::make_unique<TapPort>(options); }

}  // namespace memif::tool
