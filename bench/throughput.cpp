// Throughput as a fraction of the limit probe, both interleaved in one process. One JSON object a line.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "library_end.hpp"

namespace {

using namespace bench;

void run(const Traffic& traffic, int rounds, std::chrono::milliseconds slice) {
  std::vector<std::unique_ptr<Probe>> probes;
  for (const Variant& variant : variants) probes.push_back(std::make_unique<Probe>(traffic, variant));
  Library library(traffic);
  std::vector<std::vector<double>> limits(probes.size());
  std::vector<double> rates, ratios;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < probes.size(); ++i) limits[i].push_back(probes[i]->run(slice));
    rates.push_back(library.run(slice));
  }
  std::size_t best = 0;
  for (std::size_t i = 0; i < probes.size(); ++i)
    if (median(limits[i]) > median(limits[best])) best = i;
  for (std::size_t r = 0; r < rates.size(); ++r) ratios.push_back(rates[r] / limits[best][r]);
  std::printf(
      "{\"size\": %zu, \"burst\": %zu, \"ring\": %zu, \"direction\": \"%s\", \"touch\": \"%s\", \"library_mpps\": "
      "%.2f, "
      "\"limit_mpps\": %.2f, \"limit_variant\": \"%s\", \"ratio\": %.3f}\n",
      traffic.size, traffic.burst, traffic.ring, traffic.to_server ? "client_to_server" : "server_to_client",
      traffic.touch == Touch::copy ? "copy" : "in_place", median(rates) / 1e6, median(limits[best]) / 1e6,
      variants[best].name, median(ratios));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const auto slice = std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 50);
  for (const bool to_server : {true, false}) run({.to_server = to_server}, rounds, slice);
  for (const bool to_server : {true, false})
    for (const Touch touch : {Touch::lines, Touch::copy})
      run({.size = 1500, .to_server = to_server, .touch = touch}, rounds, slice);
}
