#include "refuse_each.hpp"

#include <gtest/gtest.h>

#include "support/resources.hpp"

namespace memif::faults {
namespace {

// True: there was an n-th request.
bool refuse(unsigned n, Extent extent, unsigned variant, const std::function<void(Experiment&)>& deed) {
  const long blocks = blocks_in_use();
  const std::size_t descriptors = test::open_descriptors(), mappings = test::shared_mappings();
  const char* failed = nullptr;
  {
    Experiment experiment(n, extent, variant);
    deed(experiment);
    failed = experiment.failed();
  }
  EXPECT_EQ(blocks_in_use(), blocks);
  EXPECT_EQ(test::open_descriptors(), descriptors);
  EXPECT_EQ(test::shared_mappings(), mappings);
  if (testing::Test::HasFailure())
    ADD_FAILURE() << "request " << n << " (" << (failed != nullptr ? failed : "none") << "), variant " << variant;
  return failed != nullptr;
}

}  // namespace

void refuse_each(Extent extent, const std::function<void(Experiment&)>& deed, unsigned more_than) {
  {
    Experiment nothing_fails(0, Extent::once, 0);
    deed(nothing_fails);
  }
  unsigned requests = 0;
  const unsigned variants = extent == Extent::once ? 3 : 1;
  for (unsigned variant = 0; variant < variants; ++variant)
    for (unsigned n = 1; refuse(n, extent, variant, deed) && !testing::Test::HasFailure(); ++n) ++requests;
  testing::Test::RecordProperty("requests", static_cast<int>(requests));
  EXPECT_GT(requests, more_than);
}

std::string name_of(Extent extent) { return extent == Extent::once ? "Once" : "FromThenOn"; }

}  // namespace memif::faults
