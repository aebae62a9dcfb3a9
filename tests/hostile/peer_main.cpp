// The attacker's process: hostile_peer <server|client> <attack> <socket> [<pid>], driven over standard input and
// output. a: attack, once; answers 'r' when it listens (attacks on a client) and 'd' when done. h: the same, but
// behave. c: let go of everything; answers 'c'.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unistd.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

void answer(char c) {
  if (::write(STDOUT_FILENO, &c, 1) != 1) ::_exit(4);
}

void prepare(RawClient&) {}
void prepare(RawServer& server) {
  server.listen();
  answer('r');
}

template <class Peer>
void behave(Peer& peer) {
  peer.connect();
  peer.stream(200);
}

template <class Attack>
std::vector<Attack> with(std::vector<Attack> attacks, std::vector<Attack> deaths) {
  attacks.insert(attacks.end(), deaths.begin(), deaths.end());
  return attacks;
}

template <class Peer>
int serve(const std::vector<AttackBy<Peer>>& attacks, const std::string& name, const std::string& socket) {
  const AttackBy<Peer>* attack = nullptr;
  for (const auto& one : attacks)
    if (one.name == name) attack = &one;
  if (attack == nullptr) give_up("there is no attack " + name);
  std::unique_ptr<Peer> peer;
  for (char command; ::read(STDIN_FILENO, &command, 1) == 1;) {
    peer.reset();
    if (command != 'c') {
      peer = std::make_unique<Peer>(socket);
      prepare(*peer);
      command == 'a' ? attack->run(*peer) : behave(*peer);
    }
    answer(command == 'c' ? 'c' : 'd');
  }
  return 0;
}

}  // namespace
}  // namespace memif::hostile

int main(int argc, char** argv) {
  using namespace memif::hostile;
  if (argc != 4 && argc != 5) return 2;
  if (argc == 5) attacked_process = std::atoi(argv[4]);
  return std::strcmp(argv[1], "server") == 0 ? serve(with(attacks_on_server(), deaths_of_client()), argv[2], argv[3])
                                             : serve(with(attacks_on_client(), deaths_of_server()), argv[2], argv[3]);
}
