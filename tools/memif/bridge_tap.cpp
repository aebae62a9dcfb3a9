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

#include "bridge_netns.hpp"
#include "bridge_port.hpp"
#include "command.hpp"

namespace memif::tool {
namespace {

constexpr std::size_t tap_burst = 64;
constexpr std::size_t header_room = 22;  // Ethernet with two VLAN tags

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
  wanted.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &wanted) != 0) fail("create the TAP interface " + name, errno);
  return fd;
}

// Returns the MTU.
std::size_t configure(const TapOptions& options) {
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
  control(socket, SIOCGIFMTU, change, "ask for the MTU of " + options.name);
  return static_cast<std::size_t>(change.ifr_mtu);
}

class TapPort final : public BridgePort {
 public:
  explicit TapPort(const TapOptions& options) : BridgePort("tap:" + options.name) {
    const Fd netns = open_netns(options.netns);
    const NetnsScope scope(netns);
    fd_ = create(options.name);
    slot_ = configure(options) + header_room;
    memory_.resize(tap_burst * slot_);
  }

  bool arm(std::vector<pollfd>& descriptors) override {
    descriptors.push_back({fd_.get(), POLLIN, 0});
    return true;
  }

 private:
  void take(std::vector<Frame>& frames) override {
    for (std::size_t i = 0; i < tap_burst; ++i) {
      std::byte* const room = memory_.data() + i * slot_;
      const ssize_t size = ::read(fd_.get(), room, slot_);
      if (size <= 0) {
        if (size < 0 && errno != EAGAIN && errno != EINTR) check_alive(errno);
        return;
      }
      frames.emplace_back(room, static_cast<std::size_t>(size));
    }
  }

  void put(Frames frames) override {
    for (const Frame& frame : frames) {
      const ssize_t size = ::write(fd_.get(), frame.data(), frame.size());
      if (size == static_cast<ssize_t>(frame.size())) sent(frame);
    }
  }

  // Somebody deleted the interface: nothing will ever come again. An interface that is down only loses what is sent.
  void check_alive(int error) const {
    if (error == EBADFD || error == ENODEV)
      throw Failure(exit_failed, fmt::format("{} is gone: somebody removed the interface", name()));
  }

  Fd fd_;
  std::size_t slot_ = 0;
  std::vector<std::byte> memory_;
};

}  // namespace

std::unique_ptr<BridgePort> open_port(const TapOptions& options) { return std::make_unique<TapPort>(options); }

}  // namespace memif::tool
