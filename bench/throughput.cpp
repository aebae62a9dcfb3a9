// Throughput as a fraction of the limit probe, both interleaved in one process. One JSON object a line.
//   throughput [--quick] [--rounds N] [--slice MILLISECONDS]    --quick: the base case and long packets only
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "library_end.hpp"
#include "limit_probe.hpp"

namespace {

using namespace bench;

struct Plan {
  bool quick = false;
  int rounds = 5;
  std::chrono::milliseconds slice{30};
};

// Where the probe's variants differ little, noise decides between them, so more than one goes on to the interleaved
// rounds.
constexpr std::size_t finalists = 3;

template <Shape shape>
void run(const Plan& plan, std::size_t burst = 32, std::size_t queues = 1) {
  const Traffic traffic{shape, burst, queues};
  Limit limit = Limit::make<shape>(burst, queues);
  limit.qualify(finalists, plan.slice / 2);
  Library library(traffic);
  std::vector<double> rates, ratios;
  for (int round = 0; round < plan.rounds; ++round) {
    limit.run(plan.slice);
    rates.push_back(library.run(plan.slice));
  }
  const Limit::Finalist& best = limit.best();
  for (std::size_t r = 0; r < rates.size(); ++r)
    if (best.rates[r] > 0) ratios.push_back(rates[r] / best.rates[r]);  // else another program had the CPU all the time
  std::printf(
      "{\"bench\": \"throughput\", \"size\": %zu, \"burst\": %zu, \"ring\": %zu, \"queues\": %zu, \"direction\": "
      "\"%s\", \"touch\": \"%s\", \"library_mpps\": %.2f, \"limit_mpps\": %.2f, \"limit_variant\": \"%s\", \"ratio\": "
      "%.3f}\n",
      shape.size, burst, shape.ring, queues, traffic.direction(), traffic.touch(), median(rates) / 1e6,
      median(best.rates) / 1e6, variants[best.variant].name, median(ratios));
  std::fflush(stdout);
}

template <bool to_server>
void run_direction(const Plan& plan) {
  constexpr Shape base{.to_server = to_server}, written{.to_server = to_server, .touch = Touch::written};
  for (const std::size_t burst : {32, 8, 1}) run<written>(plan, burst);
  run<base>(plan);
  run<Shape{.size = 1500, .to_server = to_server}>(plan);
  run<Shape{.size = 1500, .to_server = to_server, .touch = Touch::copy}>(plan);
  run<Shape{.size = longest_mixed, .to_server = to_server, .touch = Touch::mixed}>(plan);
  if (plan.quick) return;
  run<Shape{.size = 128, .to_server = to_server}>(plan);
  run<Shape{.size = 512, .to_server = to_server}>(plan);
  run<Shape{.size = 9000, .to_server = to_server}>(plan);
  run<Shape{.to_server = to_server, .touch = Touch::copy}>(plan);
  for (const std::size_t burst : {1, 8, 64, 256}) run<base>(plan, burst);
  run<Shape{.ring = 256, .to_server = to_server}>(plan);
  run<Shape{.ring = 4096, .to_server = to_server}>(plan);
  run<base>(plan, 32, 2);
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0)
      plan.quick = true;
    else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
      plan.rounds = std::max(1, std::atoi(argv[++i]));
    else if (std::strcmp(argv[i], "--slice") == 0 && i + 1 < argc)
      plan.slice = std::chrono::milliseconds(std::max(2, std::atoi(argv[++i])));
    else
      return std::fprintf(stderr, "usage: %s [--quick] [--rounds N] [--slice MILLISECONDS]\n", argv[0]), 2;
  }
  run_direction<true>(plan);
  run_direction<false>(plan);
}
