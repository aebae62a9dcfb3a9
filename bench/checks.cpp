// Throughput alone, for comparing two builds of this program, with the library's checks and without, run in turns.
// One JSON object.
//   checks [MILLISECONDS]
#include <cstdio>
#include <cstdlib>

#include "library_end.hpp"

int main(int argc, char** argv) {
  const auto slice = std::chrono::milliseconds(argc > 1 ? std::atoi(argv[1]) : 50);
  double rates[2];
  for (const bool to_server : {true, false}) {
    bench::Library library({.shape = {.to_server = to_server}});
    library.run(slice / 4);
    rates[to_server ? 0 : 1] = library.run(slice) / 1e6;
  }
  std::printf("{\"checked\": %s, \"client_to_server\": %.2f, \"server_to_client\": %.2f}\n",
              memif::checked ? "true" : "false", rates[0], rates[1]);
}
