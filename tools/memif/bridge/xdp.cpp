// memif bridge: a queue of a network interface, through AF_XDP, as a port.
#include "bridge/port.hpp"
#include "common/command.hpp"

#ifdef MEMIF_WITH_XDP

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>

#include "bridge/netns.hpp"
#include "common/output.hpp"

namespace memif::tool {
namespace {

constexpr std::uint32_t frame_size = XSK_UMEM__DEFAULT_FRAME_SIZE;
constexpr std::uint32_t ring_size = 2048;
constexpr std::size_t memory_size = std::size_t{2} * ring_size * frame_size;  // half to receive, half to send
constexpr int most_kicks = bridge_burst / 32;                                 // the kernel copies 32 frames a call

// The memory in which the kernel and this process exchange frames.
class FrameMemory {
 public:
  FrameMemory() {
    data_ = ::mmap(nullptr, memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw Failure(exit_failed, "no memory for AF_XDP's frames");
  }
  ~FrameMemory() { ::munmap(data_, memory_size); }
  FrameMemory(const FrameMemory&) = delete;
  FrameMemory& operator=(const FrameMemory&) = delete;

  void* data() const noexcept { return data_; }
  std::byte* at(std::uint64_t address) const noexcept { return static_cast<std::byte*>(data_) + address; }

 private:
  void* data_;
};

std::string explain(const XdpOptions& options, int error) {
  const char* advice = "";
  if (error == EPERM || error == EACCES)
    advice = " (needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF: run as root)";
  else if (error == ENODEV)
    advice = " (no such interface here; see netns=)";
  else if (error == EBUSY)
    advice = " (another program uses this queue)";
  else if (error == EINVAL)
    advice = " (has the interface this queue?)";
  else if (error == EOPNOTSUPP || error == EAFNOSUPPORT)
    advice = options.mode == XdpMode::zero_copy ? " (its driver has no zero-copy: mode=copy or mode=auto)"
                                                : " (kernel without CONFIG_XDP_SOCKETS?)";
  return fmt::format("cannot open AF_XDP on {} queue {}: {}{}", options.interface, options.queue, std::strerror(error),
                     advice);
}

int print_nothing(libxdp_print_level, const char*, va_list) { return 0; }

class XdpPort final : public BridgePort {
 public:
  explicit XdpPort(const XdpOptions& options)
      : BridgePort(fmt::format("xdp:{}", options.interface)), netns_(open_netns(options.netns)) {
    libxdp_set_print(print_nothing);  // what it has to say is in the error code
    const NetnsScope scope(netns_);
    open(options);
    descriptor_ = xsk_socket__fd(socket_);
    for (std::uint32_t i = 0; i < ring_size; ++i) free_.push_back(std::uint64_t{ring_size + i} * frame_size);
    std::uint32_t at = 0;
    xsk_ring_prod__reserve(&fill_, ring_size, &at);
    for (std::uint32_t i = 0; i < ring_size; ++i)
      *xsk_ring_prod__fill_addr(&fill_, at++) = std::uint64_t{i} * frame_size;
    xsk_ring_prod__submit(&fill_, ring_size);
    notice(fmt::format("{} queue {}: AF_XDP, {}", name(), options.queue, zero_copy() ? "zero-copy" : "copy"));
  }

  // The program that libxdp put on the interface goes as well, and is looked for where the interface is.
  ~XdpPort() override {
    const NetnsScope scope(netns_);
    close();
  }

  void release() override;
  bool arm(std::vector<pollfd>& descriptors) override;
  Time due() const override {
    return free_.size() == ring_size ? Time::max() : std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  }

 private:
  void take(std::vector<Frame>& frames) override;
  void put(Frames frames) override;

  void open(const XdpOptions& options);
  void close();
  bool zero_copy() const;
  void kick();
  void reap();

  Fd netns_;
  FrameMemory memory_;
  xsk_ring_prod fill_{}, tx_{};
  xsk_ring_cons completion_{}, rx_{};
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  int descriptor_ = -1;  // the socket's
  std::uint32_t taken_ = 0, first_taken_ = 0;
  std::vector<std::uint64_t> free_;  // frames to send in; the kernel has the others
};

void XdpPort::open(const XdpOptions& options) {
  const xsk_umem_config umem{ring_size, ring_size, frame_size, XSK_UMEM__DEFAULT_FRAME_HEADROOM, 0};
  int error = xsk_umem__create(&umem_, memory_.data(), memory_size, &fill_, &completion_, &umem);
  if (error == 0) {
    xsk_socket_config config{};
    config.rx_size = config.tx_size = ring_size;
    const int copying = options.mode == XdpMode::copy        ? XDP_COPY
                        : options.mode == XdpMode::zero_copy ? XDP_ZEROCOPY
                                                             : 0;
    config.bind_flags = static_cast<std::uint16_t>(XDP_USE_NEED_WAKEUP | copying);
    error = xsk_socket__create(&socket_, options.interface.c_str(), options.queue, umem_, &rx_, &tx_, &config);
  }
  if (error == 0) return;
  close();
  throw Failure(exit_failed, explain(options, -error));
}

void XdpPort::close() {
  if (socket_ != nullptr) xsk_socket__delete(std::exchange(socket_, nullptr));
  if (umem_ != nullptr) xsk_umem__delete(std::exchange(umem_, nullptr));
}

bool XdpPort::zero_copy() const {
  xdp_options set{};
  socklen_t size = sizeof set;
  return ::getsockopt(descriptor_, SOL_XDP, XDP_OPTIONS, &set, &size) == 0 && (set.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

void XdpPort::take(std::vector<Frame>& frames) {
  reap();
  taken_ = xsk_ring_cons__peek(&rx_, bridge_burst, &first_taken_);
  for (std::uint32_t i = 0; i < taken_; ++i) {
    const xdp_desc* descriptor = xsk_ring_cons__rx_desc(&rx_, first_taken_ + i);
    frames.emplace_back(memory_.at(descriptor->addr), descriptor->len);
  }
  if (taken_ == 0 && xsk_ring_prod__needs_wakeup(&fill_) != 0)
    ::recvfrom(descriptor_, nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

// The frames go back for the kernel to fill. There is room: the ring holds all the frames there are.
void XdpPort::release() {
  if (taken_ == 0) return;
  std::uint32_t at = 0;
  xsk_ring_prod__reserve(&fill_, taken_, &at);
  for (std::uint32_t i = 0; i < taken_; ++i)
    *xsk_ring_prod__fill_addr(&fill_, at++) =
        xsk_umem__extract_addr(xsk_ring_cons__rx_desc(&rx_, first_taken_ + i)->addr) / frame_size * frame_size;
  xsk_ring_prod__submit(&fill_, taken_);
  xsk_ring_cons__release(&rx_, taken_);
  taken_ = 0;
}

void XdpPort::put(Frames frames) {
  reap();
  std::uint32_t queued = 0;
  for (const Frame& frame : frames) {
    std::uint32_t at = 0;
    if (frame.size() > frame_size) continue;
    if (free_.empty() || xsk_ring_prod__reserve(&tx_, 1, &at) == 0) break;
    const std::uint64_t address = free_.back();
    free_.pop_back();
    std::memcpy(memory_.at(address), frame.data(), frame.size());
    *xsk_ring_prod__tx_desc(&tx_, at) = {address, static_cast<std::uint32_t>(frame.size()), 0};
    ++queued;
    sent(frame);
  }
  if (queued == 0) return;
  xsk_ring_prod__submit(&tx_, queued);
  kick();
}

// Has the kernel send. In copy mode one call does a part and says EAGAIN.
void XdpPort::kick() {
  if (xsk_ring_prod__needs_wakeup(&tx_) == 0) return;
  for (int i = 0; i < most_kicks; ++i)
    if (::sendto(descriptor_, nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0 || errno != EAGAIN) return;
}

// Takes back the frames that were sent.
void XdpPort::reap() {
  std::uint32_t first = 0;
  const std::uint32_t done = xsk_ring_cons__peek(&completion_, ring_size, &first);
  for (std::uint32_t i = 0; i < done; ++i) free_.push_back(*xsk_ring_cons__comp_addr(&completion_, first + i));
  if (done != 0) xsk_ring_cons__release(&completion_, done);
}

bool XdpPort::arm(std::vector<pollfd>& descriptors) {
  reap();
  if (free_.size() != ring_size) kick();
  descriptors.push_back({descriptor_, POLLIN, 0});
  return true;
}

}  // namespace

std::unique_ptr<BridgePort> open_port(const XdpOptions& options) { return std::make_unique<XdpPort>(options); }

}  // namespace memif::tool

#else

namespace memif::tool {

std::unique_ptr<BridgePort> open_port(const XdpOptions& options) {
  throw Failure(exit_failed, "xdp:" + options.interface +
                                 ": built without AF_XDP (install libxdp-dev and libbpf-dev, and build again)");
}

}  // namespace memif::tool

#endif
