// memif-manual: writes the manual pages and the completions of the memif command. Part of the build, not installed.
//   memif-manual DOCUMENTS DIRECTORY DATE
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "common/app.hpp"
#include "manual/page.hpp"
#include "manual/shell.hpp"
#include "manual/tree.hpp"

namespace {

using namespace memif::tool;
using std::filesystem::path;

void write(const path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  if (!(out << text) || !out.flush()) throw std::runtime_error(fmt::format("cannot write {}", file.string()));
}

std::string read(const path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error(fmt::format("cannot read {}", file.string()));
  return {std::istreambuf_iterator<char>(in), {}};
}

// A subcommand may have a document, docs/NAME.md.
std::string document_of(const ManualCommand& command, const path& documents) {
  const path file = documents / (command.name + ".md");
  return exists(file) ? read(file) : std::string();
}

void write_all(const path& documents, const path& directory, const ManualEdition& edition) {
  Action action;
  const CommandLine app = build_app(action);
  const ManualCommand root = read_manual(app);
  write(directory / "man1/memif.1", man_page(root, root, {}, edition));
  for (const ManualCommand& command : root.commands)
    write(directory / "man1" / fmt::format("memif-{}.1", command.name),
          man_page(root, command, document_of(command, documents), edition));
  write(directory / "man7/memif.7", man_page("memif", 7, read(documents / "protocol.md"), edition));
  write(directory / "bash/memif", bash_completion(root));
  write(directory / "zsh/_memif", zsh_completion(root));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::runtime_error("usage: memif-manual DOCUMENTS DIRECTORY DATE");
    write_all(argv[1], argv[2], {version_text(), argv[3]});
    return exit_done;
  } catch (const std::exception& error) {
    fmt::print(stderr, "memif-manual: {}\n", error.what());
    return exit_failed;
  }
}
