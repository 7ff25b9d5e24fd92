#include "doctor/rank_facts.h"

#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "compute/backend.h"
#include "doctor/system_facts.h"
#include "metrics/memory.h"
#include "model/checkpoint.h"
#include "model/fingerprint.h"
#include "model/model_config.h"
#include "model/shared_hashes.h"
#include "plan/contiguous.h"
#include "plan/plan.h"
#include "runtime/footprint.h"

namespace gracemoe {
namespace {

void learn_kernels(const FactsRequest& request, RankFacts& facts) {
  try {
    CpuOptions options;
    options.isa = request.isa;
    facts.kernels = make_cpu_backend(options)->name();
  } catch (const Error& error) {
    facts.kernels_error = error.what();
  }
}

// Model and plan as a run would load them, without the weights.
void learn_model(const FactsRequest& request, const Topology& topology, RankFacts& facts) {
  ModelConfig config;
  PlanTarget target;
  std::unique_ptr<Checkpoint> checkpoint;
  try {
    config = read_model_config(request.model);
    checkpoint = std::make_unique<Checkpoint>(request.model);
    const std::string print = fingerprint(*checkpoint, config);
    facts.model = print + " " + shared_digest(*checkpoint, config);
    target = {
        "",      print, config.experts, config.top_k, static_cast<int>(config.moe_layers.size()),
        topology};
  } catch (const Error& error) {
    facts.model_error = error.what();
    return;
  }
  try {
    const Plan plan = request.plan.empty() ? contiguous_plan(target) : read_plan(request.plan);
    if (!request.plan.empty()) check_plan_fits(plan, target, request.plan);
    const Footprint need = footprint(config, *checkpoint, plan, facts.rank, {});
    facts.weight_bytes = need.dense + need.experts;
  } catch (const Error& error) {
    facts.plan_error = error.what();
  }
}

void learn_plan(const FactsRequest& request, const Topology& topology, RankFacts& facts) {
  try {
    const Plan plan = read_plan(request.plan);
    const std::string text = plan_text(plan);
    facts.plan = hex64(hash_bytes(std::as_bytes(std::span(text))));
    if (plan.topology != topology)
      check_plan_fits(plan,
                      {plan.model, plan.fingerprint, plan.num_experts, plan.top_k,
                       static_cast<int>(plan.layers.size()), topology},
                      request.plan);
  } catch (const Error& error) {
    facts.plan_error = error.what();
  }
}

}  // namespace

RankFacts learn_facts(const FactsRequest& request, const Topology& topology, int rank,
                      const std::string& host) {
  RankFacts facts;
  facts.rank = rank;
  facts.node = topology.node_of(rank);
  facts.host = host;
  facts.boot = boot_id();
  facts.machine = this_machine();
  facts.machine_cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  facts.cores = usable_core_numbers();
  facts.memory_available = available_memory();
  const SharedMemoryFacts shm = examine_shared_memory("/dev/shm");
  facts.shm_total = shm.total;
  facts.shm_free = shm.free;
  facts.shm_error = shm.error;
  facts.version = request.version;
  facts.program = program_hash();
  facts.mpi = request.mpi;
  learn_kernels(request, facts);
  facts.threads = request.threads;
  facts.environment = watched_environment();
  facts.interfaces = network_interfaces();
  if (!request.plan.empty()) learn_plan(request, topology, facts);
  if (!request.model.empty() && facts.plan_error.empty()) learn_model(request, topology, facts);
  return facts;
}

std::string facts_text(const RankFacts& f) {
  const OrderedJson json = {{"rank", f.rank},
                            {"node", f.node},
                            {"host", f.host},
                            {"boot", f.boot},
                            {"cpu", f.machine.cpu},
                            {"usable_cores", f.machine.cores},
                            {"memory_bytes", f.machine.memory_bytes},
                            {"system", f.machine.system},
                            {"machine_cores", f.machine_cores},
                            {"cores", f.cores},
                            {"memory_available_bytes", f.memory_available},
                            {"shm_total_bytes", f.shm_total},
                            {"shm_free_bytes", f.shm_free},
                            {"shm_error", f.shm_error},
                            {"sharing_error", f.sharing_error},
                            {"version", f.version},
                            {"program", f.program},
                            {"mpi", f.mpi},
                            {"kernels", f.kernels},
                            {"kernels_error", f.kernels_error},
                            {"threads", f.threads},
                            {"environment", f.environment},
                            {"interfaces", f.interfaces},
                            {"model", f.model},
                            {"model_error", f.model_error},
                            {"plan", f.plan},
                            {"plan_error", f.plan_error},
                            {"weight_bytes", f.weight_bytes},
                            {"clock_offset_s", f.clock_offset_s},
                            {"clock_error_s", f.clock_error_s}};
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

RankFacts parse_facts(const std::string& text) {
  const Json json = parse_json(text, "a rank's facts");
  RankFacts f;
  json.at("rank").get_to(f.rank);
  json.at("node").get_to(f.node);
  json.at("host").get_to(f.host);
  json.at("boot").get_to(f.boot);
  json.at("cpu").get_to(f.machine.cpu);
  json.at("usable_cores").get_to(f.machine.cores);
  json.at("memory_bytes").get_to(f.machine.memory_bytes);
  json.at("system").get_to(f.machine.system);
  json.at("machine_cores").get_to(f.machine_cores);
  json.at("cores").get_to(f.cores);
  json.at("memory_available_bytes").get_to(f.memory_available);
  json.at("shm_total_bytes").get_to(f.shm_total);
  json.at("shm_free_bytes").get_to(f.shm_free);
  json.at("shm_error").get_to(f.shm_error);
  json.at("sharing_error").get_to(f.sharing_error);
  json.at("version").get_to(f.version);
  json.at("program").get_to(f.program);
  json.at("mpi").get_to(f.mpi);
  json.at("kernels").get_to(f.kernels);
  json.at("kernels_error").get_to(f.kernels_error);
  json.at("threads").get_to(f.threads);
  json.at("environment").get_to(f.environment);
  json.at("interfaces").get_to(f.interfaces);
  json.at("model").get_to(f.model);
  json.at("model_error").get_to(f.model_error);
  json.at("plan").get_to(f.plan);
  json.at("plan_error").get_to(f.plan_error);
  json.at("weight_bytes").get_to(f.weight_bytes);
  json.at("clock_offset_s").get_to(f.clock_offset_s);
  json.at("clock_error_s").get_to(f.clock_error_s);
  return f;
}

}  // namespace gracemoe
