// A terminal taken over by a full-screen program, and given back as it was.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace memif::tool {

// One at a time. While it lives: the alternate screen, no cursor, keys without echo or Enter. Standard output must be a
// terminal; keys are read if standard input is one. A signal that kills gives the terminal back first (StopSignals).
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  struct Size {
    std::size_t columns, rows;
  };
  static Size size();

  // Shows these lines, as many and as much of each as fits. Lines are printable; the first is in reverse video.
  void draw(const std::vector<std::string>& lines);

  // A descriptor that becomes readable when a key is pressed, or -1; and the key.
  int keys() const noexcept;
  std::optional<char> key();

 private:
  bool keys_ = false;   // standard input is a terminal
  bool ended_ = false;  // standard input has no more keys
};

}  // namespace memif::tool
