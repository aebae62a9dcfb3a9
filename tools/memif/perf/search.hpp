// Where a rate, or a length, stops being good: the next one to try, and what is known so far. Pure.
#pragma once

#include <limits>
#include <optional>

namespace memif::tool {

// Looks for the highest number whose trials pass. It begins at a guess, goes up or down in steps that double until one
// passes and one fails, and halves what is between them. A number fails when `tries` trials of it have failed: what
// else goes on in a machine makes trials fail, but none pass.
class PeakSearch {
 public:
  struct Settings {
    double guess = 1;
    double most = std::numeric_limits<double>::infinity();  // that may be tried
    double resolution = 0.01;                               // how far apart, as a fraction, pass and fail end
    unsigned tries = 3;
  };

  explicit PeakSearch(const Settings& settings);

  // What to try; nothing: all is known that the resolution asks for.
  std::optional<double> next() const noexcept;
  void note(bool passed) noexcept;  // how a trial of next() ended

  std::optional<double> found() const noexcept;  // the highest that passed
  bool limited() const noexcept { return passed_ >= settings_.most; }

 private:
  const Settings settings_;
  double passed_ = 0;                                        // the highest; 0: none
  double failed_ = std::numeric_limits<double>::infinity();  // the lowest; infinity: none
  double next_;
  double step_;
  unsigned failures_ = 0;  // of next_
};

}  // namespace memif::tool
