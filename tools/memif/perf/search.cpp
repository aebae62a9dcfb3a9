#include "perf/search.hpp"

#include <algorithm>
#include <cmath>

namespace memif::tool {
namespace {

constexpr double longest_step = 0.5;
constexpr double hopeless = 1e-5;  // of the guess: nothing passes

}  // namespace

PeakSearch::PeakSearch(const Settings& settings)
    : settings_(settings), next_(std::min(settings.guess, settings.most)), step_(settings.resolution) {}

std::optional<double> PeakSearch::next() const noexcept {
  const bool known = failed_ <= passed_ * (1 + settings_.resolution);
  const bool hope = passed_ > 0 || next_ > settings_.guess * hopeless;
  return known || limited() || !hope ? std::nullopt : std::optional(next_);
}

void PeakSearch::note(bool passed) noexcept {
  if (!passed && ++failures_ < settings_.tries) return;
  failures_ = 0;
  (passed ? passed_ : failed_) = next_;
  if (passed_ > 0 && std::isfinite(failed_)) {
    next_ = std::sqrt(passed_ * failed_);
    return;
  }
  next_ = passed ? std::min(passed_ * (1 + step_), settings_.most) : failed_ * (1 - step_);
  step_ = std::min(2 * step_, longest_step);
}

std::optional<double> PeakSearch::found() const noexcept { return passed_ > 0 ? std::optional(passed_) : std::nullopt; }

}  // namespace memif::tool
