#include "perf/plot.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace memif::tool {
namespace {

constexpr double plot_width = 760, plot_height = 300, left = 70, right = 20, top = 40, bottom = 50;
constexpr int most_ticks = 6;

// A number line: values to places, and round numbers on it.
class Axis {
 public:
  Axis(double low, double high, bool log, double from, double to) : log_(log), from_(from), to_(to) {
    low_ = log ? std::floor(std::log10(low)) : low;
    high_ = log ? std::ceil(std::log10(high)) : high;
    if (!(high_ > low_)) high_ = low_ + (log ? 1 : std::max(1.0, std::abs(low_)));
  }
  double place(double value) const {
    const double at = ((log_ ? std::log10(value) : value) - low_) / (high_ - low_);
    return from_ + at * (to_ - from_);
  }
  std::vector<double> ticks() const {
    const double step = log_ ? std::ceil((high_ - low_) / most_ticks) : round_step();
    std::vector<double> values;
    for (int i = 0; i <= 2 * most_ticks; ++i) {
      const double at = (std::ceil(low_ / step) + i) * step;
      const double value = log_ ? std::pow(10, at) : std::abs(at) < step * 1e-6 ? 0 : at;
      if (at <= high_ + step * 1e-6 && std::isfinite(value)) values.push_back(value);
    }
    return values;
  }

 private:
  // 1, 2 or 5 times a power of ten.
  double round_step() const {
    const double raw = (high_ - low_) / most_ticks, power = std::pow(10, std::floor(std::log10(raw)));
    const double digits = raw / power;
    return power * (digits <= 1 ? 1 : digits <= 2 ? 2 : digits <= 5 ? 5 : 10);
  }

  bool log_;
  double low_, high_, from_, to_;
};

std::string number(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e3) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

std::string text_at(double x, double y, const char* kind, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>\n", x, y, kind, escape_html(text));
}

std::string line_at(double x1, double y1, double x2, double y2) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", x1, y1, x2, y2);
}

// What of the curves can be drawn.
std::vector<Curve> drawable(const Plot& plot) {
  std::vector<Curve> curves = plot.curves;
  for (Curve& curve : curves)
    std::erase_if(curve.points, [&plot](const auto& point) {
      return !std::isfinite(point.first) || !std::isfinite(point.second) || (plot.log_y && point.second <= 0);
    });
  std::erase_if(curves, [](const Curve& curve) { return curve.points.empty(); });
  return curves;
}

struct Limits {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
};

Limits limits_of(const std::vector<Curve>& curves, bool log_y) {
  Limits all;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points)
      all = {std::min(all.x0, x), std::max(all.x1, x), std::min(all.y0, y), std::max(all.y1, y)};
  if (!log_y) {  // from 0, with air above
    all.y0 = std::min(all.y0, 0.0);
    all.y1 = all.y1 > 0 ? all.y1 * 1.05 : 1;
  }
  return all;
}

std::string frame(const Plot& plot, const Axis& x, const Axis& y) {
  std::string out = "<g class=\"grid\">\n";
  for (const double value : y.ticks()) out += line_at(left, y.place(value), plot_width - right, y.place(value));
  out += "</g>\n";
  for (const double value : y.ticks()) out += text_at(left - 8, y.place(value) + 4, "y", number(value));
  if (plot.x_names.empty())
    for (const double value : x.ticks()) out += text_at(x.place(value), plot_height - bottom + 18, "x", number(value));
  for (std::size_t i = 0; i < plot.x_names.size(); ++i)
    out += text_at(x.place(static_cast<double>(i)), plot_height - bottom + 18, "x", plot.x_names[i]);
  return out + text_at(left, 16, "title", plot.title) +
         text_at((left + plot_width - right) / 2, plot_height - 10, "x", plot.x_label) +
         text_at(left, 32, "unit", plot.y_label);
}

std::string draw(const Curve& curve, std::size_t number, const Axis& x, const Axis& y) {
  std::string points, dots;
  for (const auto& [at, value] : curve.points) {
    points += fmt::format("{:.1f},{:.1f} ", x.place(at), y.place(value));
    if (curve.points.size() <= 40)
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"><title>{}</title></circle>\n", x.place(at),
                          y.place(value), escape_html(fmt::format("{}: {:.6g}", curve.name, value)));
  }
  return fmt::format("<g class=\"c{}\">\n<polyline points=\"{}\"/>\n{}</g>\n", number % 4, points, dots);
}

std::string legend(const std::vector<Curve>& curves) {
  std::string out;
  double at = plot_width - right;
  for (std::size_t i = curves.size(); i-- > 0;) {
    at -= 14 + 7 * static_cast<double>(curves[i].name.size());
    out += fmt::format("<g class=\"c{}\">{}</g>", i % 4, line_at(at - 18, 12, at - 4, 12)) +
           text_at(at, 16, "name", curves[i].name);
    at -= 22;
  }
  return out;
}

}  // namespace

const char* const plot_style = R"(
svg{display:block;width:100%;max-width:760px;height:auto;margin:1em 0}
svg text{font:12px sans-serif;fill:currentColor}svg .x{text-anchor:middle}svg .y{text-anchor:end}
svg .title{font-weight:bold;font-size:13px}svg .unit{opacity:.7}
svg .grid line{stroke:currentColor;opacity:.2}svg polyline{fill:none;stroke-width:1.8}svg line{stroke-width:1.8}
svg .c0{stroke:#2563eb}svg .c1{stroke:#d97706}svg .c2{stroke:#dc2626}svg .c3{stroke:#059669}
svg circle{fill:currentColor;fill-opacity:.05}
)";

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string svg(const Plot& plot) {
  const std::vector<Curve> curves = drawable(plot);
  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", plot_width, plot_height,
                                escape_html(plot.title));
  if (curves.empty())
    return out + text_at(left, 16, "title", plot.title) + text_at(left, 60, "unit", "nothing") + "</svg>\n";
  Limits limits = limits_of(curves, plot.log_y);
  if (!plot.x_names.empty()) limits.x0 = -0.5, limits.x1 = static_cast<double>(plot.x_names.size()) - 0.5;
  const Axis x(limits.x0, limits.x1, false, left, plot_width - right);
  const Axis y(limits.y0, limits.y1, plot.log_y, plot_height - bottom, top);
  out += frame(plot, x, y);
  for (std::size_t i = 0; i < curves.size(); ++i) out += draw(curves[i], i, x, y);
  return out + legend(curves) + "</svg>\n";
}

}  // namespace memif::tool
