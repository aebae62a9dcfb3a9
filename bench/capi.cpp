// Throughput of the C API as a fraction of that of the C++ API, both interleaved in one process. One JSON object a
// line.
//   capi [ROUNDS [MILLISECONDS]]
//   capi alone [MILLISECONDS]      the C API only, one round: for another library in this one's place, in turns
//   capi client_to_server|server_to_client BURSTS      for callgrind: one thread, the C calls only
#include <cstdio>
#include <cstdlib>
#include <string>

#include "capi_end.hpp"
#include "library_end.hpp"

namespace {

using namespace bench;

void compare(const Traffic& traffic, int rounds, std::chrono::milliseconds slice) {
  Library cpp(traffic);
  CApi c(traffic);
  std::vector<double> cpp_rates, c_rates, ratios;
  for (int round = 0; round < rounds; ++round) {
    cpp_rates.push_back(cpp.run(slice));
    c_rates.push_back(c.run(slice));
    ratios.push_back(c_rates.back() / cpp_rates.back());
  }
  std::printf(
      "{\"bench\": \"capi\", \"size\": %zu, \"burst\": %zu, \"touch\": \"%s\", \"direction\": \"%s\", \"cpp_mpps\": "
      "%.2f, "
      "\"c_mpps\": "
      "%.2f, \"ratio\": %.3f}\n",
      traffic.shape.size, traffic.burst, traffic.touch(), traffic.direction(), median(cpp_rates) / 1e6,
      median(c_rates) / 1e6, median(ratios));
  std::fflush(stdout);
}

// Every case once. Loops as programs write them first.
int alone(std::chrono::milliseconds slice) {
  const auto print = [](const Traffic& traffic, const char* direction, const char* touch, double rate) {
    std::printf("{\"size\": %zu, \"burst\": %zu, \"direction\": \"%s\", \"touch\": \"%s\", \"mpps\": %.3f}\n",
                traffic.shape.size, traffic.burst, direction, touch, rate / 1e6);
    std::fflush(stdout);
  };
  const auto one_way = [&](const Shape& shape, std::size_t burst) {
    const Traffic traffic{shape, burst};
    print(traffic, traffic.direction(), traffic.touch(), CApi(traffic).run(slice));
  };
  for (const bool to_server : {true, false}) {
    for (const std::size_t burst : {32, 8, 1}) one_way({.to_server = to_server, .touch = Touch::written}, burst);
    one_way({.to_server = to_server}, 32);
    one_way({.size = 1500, .to_server = to_server, .touch = Touch::copy}, 32);
  }
  for (const auto& [size, burst] : {std::pair<std::size_t, std::size_t>{64, 32}, {64, 1}, {1500, 32}}) {
    const Traffic traffic{{.size = size}, burst};
    print(traffic, "there_and_back", "reflected", CApi(traffic).run_reflected(slice));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (argc == 3 && first.find("_to_") != std::string::npos) {
    CApi c({.shape = {.to_server = first == "client_to_server"}});
    std::size_t received = 0;
    for (long i = std::atol(argv[2]); i != 0; --i) {
      c.bare_send(32);
      received += c.bare_receive(32);
    }
    std::printf("{\"received\": %zu}\n", received);
    return 0;
  }
  if (first == "alone") return alone(std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 50));
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const auto slice = std::chrono::milliseconds(argc > 2 ? std::atoi(argv[2]) : 50);
  for (const std::size_t burst : {32, 8, 1})
    for (const bool to_server : {true, false})
      compare({.shape = {.to_server = to_server, .touch = Touch::written}, .burst = burst}, rounds, slice);
  for (const bool to_server : {true, false}) compare({.shape = {.to_server = to_server}}, rounds, slice);
  for (const bool to_server : {true, false})
    compare({.shape = {.size = 1500, .to_server = to_server, .touch = Touch::copy}}, rounds, slice);
}
