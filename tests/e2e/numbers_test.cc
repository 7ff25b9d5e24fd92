// Numbers of the command line that are none, or have no unit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;
using Args = std::vector<std::string>;

ProcessResult gracemoe(Args args) {
  args.insert(args.begin(), GRACEMOE_PROGRAM);
  return run_process(args);
}

struct NumberOption {
  Args command;
  std::string name, wanted;
};

const Args kGenerate{"generate", "--model", "m", "--prompt", "a"};
const Args kPlan{"plan", "--trace", "t", "--out", "p"};
const Args kLadder{"bench", "ladder", "--model", "m", "--text", "t"};
const Args kExchange{"bench", "exchange", "--trace", "t", "--hidden", "8"};
const Args kCalibrate{"calibrate", "--out", "c"};

const std::vector<NumberOption> kOptions{
    {kGenerate, "--timeout", "a number of at least 0"},
    {kGenerate, "--memory-gb", "a number above 0"},
    {kGenerate, "--temperature", "a number"},
    {kGenerate, "--top-p", "a number"},
    {kGenerate, "--min-p", "a number"},
    {kGenerate, "--repetition-penalty", "a number"},
    {kGenerate, "--presence-penalty", "a number"},
    {kGenerate, "--frequency-penalty", "a number"},
    {{"eval", "--model", "m", "--text", "t"}, "--timeout", "a number of at least 0"},
    {{"profile", "--model", "m", "--text", "t", "--out", "o"},
     "--timeout",
     "a number of at least 0"},
    {{"chat", "--model", "m"}, "--temperature", "a number"},
    {{"inspect", "--model", "m"}, "--memory-gb", "a number above 0"},
    {{"make-checkpoint", "--out", "o"}, "--shard-gb", "a number above 0"},
    {{"doctor"}, "--timeout", "a number of at least 0"},
    {{"doctor"}, "--seconds", "a number from 0 to 600"},
    {kCalibrate, "--timeout", "a number of at least 0"},
    {kCalibrate, "--seconds", "a number from 0.1 to 3600"},
    {{"bench", "compute"}, "--seconds", "a number from 0 to 3600"},
    {kLadder, "--timeout", "a number of at least 0"},
    {kExchange, "--timeout", "a number of at least 0"},
    {kPlan, "--memory-budget", "a number from 1 to 1000000"},
    {kPlan, "--balance", "a number from 1 to 1000000"},
    {kPlan, "--effort", "a number from 0.001 to 1000000"},
    {kPlan, "--time-limit", "a number from 0 to 1000000000"},
    {kPlan, "--device-memory", "a number from 0 to 1000000000"},
    {kPlan, "--tokens-per-device", "a number from 0 to 1000000000"},
    {kPlan, "--steps", "a number from 1 to "},
};

TEST(Numbers, WhatIsNoneIsRefused) {
  for (const NumberOption& option : kOptions) {
    const bool all = option.command[0] == "doctor";  // one validator serves every option
    for (const std::string& value : all ? Args{"nan", "inf", "1x"} : Args{"nan"}) {
      Args args = option.command;
      args.insert(args.end(), {option.name, value});
      const ProcessResult result = gracemoe(args);
      EXPECT_EQ(result.exit_code, 2) << option.name << " " << value;
      EXPECT_THAT(result.err,
                  HasSubstr(option.name + ": got '" + value + "', wanted " + option.wanted))
          << option.command[0];
    }
  }
}

TEST(Numbers, LimitsAreToldInAFewDigits) {
  EXPECT_THAT(gracemoe({"doctor", "--timeout", "-1"}).err,
              HasSubstr("got '-1', wanted a number of at least 0\n"));
  EXPECT_THAT(gracemoe({"doctor", "--seconds", "601"}).err, HasSubstr("from 0 to 600\n"));
  EXPECT_THAT(gracemoe({"plan", "--trace", "t", "--out", "p", "--nodes", "0"}).err,
              HasSubstr("--nodes: got '0', wanted a number above 0\n"));
}

TEST(Numbers, RatesHaveUnitsAndARange) {
  for (const std::string rate : {"100", "5", "100bit", "0mbit", "1e-300gbit", "1e2mbit", "99kbit",
                                 "101gbit", "nanmbit", "-5mbit", "mbit", "100 mbit", "100Mbit"}) {
    Args args = kExchange;
    args.insert(args.end(), {"--rate", rate});
    const ProcessResult result = gracemoe(args);
    EXPECT_EQ(result.exit_code, 2) << rate;
    EXPECT_THAT(result.err, HasSubstr("--rate: got '" + rate + "', wanted 100kbit to 100gbit"));
  }
  for (const std::string rate : {"none", "100kbit", "2.5gbit", "100gbit"}) {
    Args args = kExchange;
    args.insert(args.end(), {"--rate", rate});
    EXPECT_THAT(gracemoe(args).err, HasSubstr("t: got No such file")) << rate;
  }
}

TEST(Numbers, TheLabsRateIsInBits) {
  Args args{"env", "LAB_RATE_BITS=5", GRACEMOE_PROGRAM};
  args.insert(args.end(), kExchange.begin(), kExchange.end());
  EXPECT_THAT(run_process(args).err, HasSubstr("LAB_RATE_BITS: got '5', wanted bits a second"));
  for (const std::string bits : {"0", "100000000", ""}) {
    args[1] = "LAB_RATE_BITS=" + bits;
    EXPECT_THAT(run_process(args).err, HasSubstr("t: got No such file")) << bits;
  }
  args[1] = "LAB_RATE_BITS=100000000";
  args.insert(args.begin() + 2, {"LAB_RAILS=1", "LAB_DEVICES=two"});
  EXPECT_THAT(run_process(args).err, HasSubstr("LAB_DEVICES: got 'two', wanted devices of a node"));
  args[3] = "LAB_DEVICES=2";
  EXPECT_THAT(run_process(args).err, HasSubstr("t: got No such file"));
}

}  // namespace
}  // namespace gracemoe
