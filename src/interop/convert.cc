#include "interop/convert.h"

#include "base/error.h"
#include "base/files.h"
#include "interop/convert_placement.h"

namespace gracemoe {
namespace {

Format format_of_inputs(const ConvertOptions& options) {
  if (options.from) return *options.from;
  const Format format = detect_format(options.inputs.front());
  for (const auto& input : options.inputs)
    if (detect_format(input) != format)
      fail_input({input.string(), info(detect_format(input)).name,
                  std::string(info(format).name) + ", as the first input is", ""});
  return format;
}

Format default_target(Format from) {
  switch (info(from).holds) {
    case Holds::kPlacement:
      return Format::kPlan;
    case Holds::kLoads:
      return Format::kStats;
    default:
      return Format::kTrace;
  }
}

}  // namespace

void say_layers(const LayerNumbers& numbers, Lines& lines) {
  if (numbers.absolute.empty()) return;
  const std::string of =
      " of the model" + (numbers.hidden > 0 ? "'s " + std::to_string(numbers.hidden) : "");
  const std::string list = layer_list_text(numbers.absolute);
  lines.push_back(numbers.absolute.size() == 1
                      ? "layers: layer " + list + of + " is its MoE layer 0"
                      : "layers: " + list + of + " are its MoE layers 0 to " +
                            std::to_string(numbers.absolute.size() - 1));
}

std::vector<std::string> convert(const ConvertOptions& options) {
  GM_CHECK(!options.inputs.empty(), "convert: no input");
  const Format from = format_of_inputs(options);
  const Format to = options.to ? *options.to : default_target(from);
  const bool placement = info(from).holds == Holds::kPlacement;
  if (!info(to).written)
    fail_usage({std::string("--to ") + info(to).name, "a format that is read only",
                "one that gracemoe convert writes (see --help)", ""});
  if (placement != (info(to).holds == Holds::kPlacement))
    fail_usage({std::string("from ") + info(from).name + " to " + info(to).name,
                placement ? "a placement, to be written as statistics"
                          : "statistics, to be written as a placement",
                "two formats of one kind",
                placement ? "" : "make a plan from them first: gracemoe plan --trace"});
  if (to != Format::kTrtllmStats) require_writable(options.out);
  Lines lines;
  if (placement)
    convert_placement(options, from, to, lines);
  else
    convert_loads(options, from, options.to, lines);
  return lines;
}

}  // namespace gracemoe
