#include "memory.hpp"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#include "input.hpp"

namespace memif::fuzz {
namespace {

constexpr std::size_t piece = 1 << 20;

std::byte* map_huge_region() {
  void* const whole = ::mmap(nullptr, huge_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(whole != MAP_FAILED, "address space for a huge region");
  const int fd = ::memfd_create("huge", MFD_CLOEXEC);
  require(fd >= 0 && ::ftruncate(fd, piece) == 0, "memory for a huge region");
  auto* const base = static_cast<std::byte*>(whole);
  for (std::uint64_t at = 0; at < huge_size; at += piece)
    require(::mmap(base + at, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED,
            "a huge region can be mapped");
  ::close(fd);
  return base;
}

}  // namespace

Memory::Memory(std::size_t size) : data_(static_cast<std::byte*>(std::aligned_alloc(64, size))), size_(size) {
  std::memset(data_, 0, size);
}
Memory::~Memory() { std::free(data_); }

std::byte* huge_region() {
  static std::byte* const base = map_huge_region();
  return base;
}

}  // namespace memif::fuzz
