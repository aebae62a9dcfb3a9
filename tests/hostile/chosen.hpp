// Which generation of the C API has which of the cases that take long: those that wait for the deadline of a handshake,
// five seconds, which this API has no setting for.
#pragma once

#include <cstddef>

namespace memif::hostile {

// One case in five is taken, each by another generation than the one before it. All run the same code there,
// capi/core.
class Share {
 public:
  bool takes_next() {
    const std::size_t number = number_++;
    return number % one_in == 0 && number / one_in % generations == generation;
  }

 private:
  static constexpr std::size_t one_in = 5, generations = 4;
  static constexpr std::size_t generation = GENERATION == 20 ? 0 : GENERATION == 21 ? 1 : GENERATION == 30 ? 2 : 3;
  std::size_t number_ = 0;
};

}  // namespace memif::hostile
