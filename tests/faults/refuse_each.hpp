#pragma once

#include <functional>
#include <string>

#include "faults.hpp"

namespace memif::faults {

// Does `deed` with nothing refused, for what is made once and kept. Then with the first request refused, the second,
// and so on to the last, in each way in which it can be. Expects that nothing is left over, and that there were more
// than so many requests.
void refuse_each(Extent extent, const std::function<void(Experiment&)>& deed, unsigned more_than = 0);

std::string name_of(Extent extent);

}  // namespace memif::faults
