// Which packets of a sender have come: losses and duplicates told apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace memif::tool {

// Numbers count from 0. Remembers the last `window` of them; what comes later than that is taken for a duplicate, so
// that it hides no loss.
class PerfSequence {
 public:
  static constexpr std::uint64_t window = 65536;
  static constexpr std::uint64_t most = std::uint64_t{1} << 62;  // greater numbers nobody counts to

  enum class Arrival { first, late, duplicate };  // late: behind one with a greater number

  // `number` has come, which is not greater than `most`.
  Arrival note(std::uint64_t number) noexcept {
    if (number >= next_) {
      forget_before(number);
      mark(number);
      next_ = number + 1;
      return Arrival::first;
    }
    if (number / bits + words <= (next_ - 1) / bits || marked(number)) return Arrival::duplicate;
    mark(number);
    return Arrival::late;
  }

  // One more than the greatest number so far: so many should have come.
  std::uint64_t expected() const noexcept { return next_; }

 private:
  static constexpr std::uint64_t bits = 64, words = window / bits;

  std::uint64_t& word(std::uint64_t number) noexcept { return seen_[number / bits % words]; }
  void mark(std::uint64_t number) noexcept { word(number) |= std::uint64_t{1} << number % bits; }
  bool marked(std::uint64_t number) noexcept { return (word(number) >> number % bits & 1) != 0; }

  // Makes room for the numbers from next_ to `number`: the words that begin among them.
  void forget_before(std::uint64_t number) noexcept {
    std::uint64_t first = (next_ + bits - 1) / bits;
    const std::uint64_t last = number / bits;
    if (last >= words && first < last - words + 1) first = last - words + 1;
    for (; first <= last; ++first) seen_[first % words] = 0;
  }

  std::uint64_t next_ = 0;
  std::vector<std::uint64_t> seen_ = std::vector<std::uint64_t>(words);
};

}  // namespace memif::tool
