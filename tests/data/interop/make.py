"""Makes the small files of this folder, one of each form that gracemoe convert reads. Python alone: PyTorch's container
is written by hand, a zip of stored entries with a pickle of protocol 2 and one entry of raw numbers per storage."""

import base64
import io
import json
import pickle
import random
import struct
import sys
import types
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
HIDDEN, DENSE, EXPERTS, TOP_K, SLOTS, RANKS = 3, 1, 8, 2, 10, 5
rng = random.Random(7)


class Tensor:
    def __init__(self, kind: str, shape: list[int], values: list[int]):
        self.kind, self.shape, self.values = kind, shape, values


def fake_torch() -> None:
    """Names that the pickle mentions, so that Python's pickler can write them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("IntStorage", "LongStorage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch", "__qualname__": kind}))

    def rebuild(*arguments):
        raise NotImplementedError(arguments)

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = "torch._utils", *["_rebuild_tensor_v2"] * 2
    utils._rebuild_tensor_v2 = rebuild
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils


class Storage:
    def __init__(self, number: int, tensor: Tensor):
        self.number, self.tensor = number, tensor


def save(name: str, content: dict) -> None:
    import collections
    torch, rebuild = sys.modules["torch"], sys.modules["torch._utils"]._rebuild_tensor_v2
    storages = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return ("storage", getattr(torch, value.tensor.kind), str(value.number), "cpu", len(value.tensor.values))
            return None

        def reducer_override(self, value):
            if not isinstance(value, Tensor):
                return NotImplemented
            storages.append(Storage(len(storages), value))
            strides = [1]
            for extent in reversed(value.shape[1:]):
                strides.insert(0, strides[0] * extent)
            return rebuild, (storages[-1], 0, tuple(value.shape), tuple(strides), False, collections.OrderedDict())

    data = io.BytesIO()
    Pickler(data, protocol=2).dump(content)
    stem = name.removesuffix(".pt")
    with zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_STORED) as archive:
        def add(entry: str, text: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(f"{stem}/{entry}", (1980, 1, 1, 0, 0, 0)), text)
        add("data.pkl", data.getvalue())
        add("byteorder", b"little")
        for storage in storages:
            letter = "i" if storage.tensor.kind == "IntStorage" else "q"
            add(f"data/{storage.number}", struct.pack(f"<{len(storage.tensor.values)}{letter}", *storage.tensor.values))
        add("version", b"3\n")


def flat(nested) -> list[int]:
    return [x for item in nested for x in flat(item)] if isinstance(nested, list) else [nested]


def shape(nested) -> list[int]:
    return [len(nested), *shape(nested[0])] if isinstance(nested, list) else []


def tensor(kind: str, nested) -> Tensor:
    return Tensor(kind, shape(nested), flat(nested))


def write(name: str, text: str) -> None:
    (HERE / name).write_text(text, encoding="utf-8")


def write_safetensors(path: Path, tensors: dict[str, list[int]]) -> None:
    header, data = {}, b""
    for name, values in tensors.items():
        raw = struct.pack(f"<{len(values)}q", *values)
        header[name] = {"dtype": "I64", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


# Two MoE layers on five ranks of two slots, no expert twice on a rank; in SGLang's numbering a dense layer before them.
MAPS = [[0, 1, 2, 3, 4, 5, 6, 7, 0, 5], [7, 6, 5, 4, 3, 2, 1, 0, 2, 6]]
ALL_MAPS = [[s % EXPERTS for s in range(SLOTS)]] * DENSE + MAPS


def counts() -> list[list[int]]:
    return [[0] * EXPERTS] * DENSE + [[rng.randrange(100) for _ in range(EXPERTS)] for _ in MAPS]


def token_slots(layer: int) -> list[int]:
    """Slots of TOP_K distinct experts, any copy of each; padded to a width of 4."""
    if layer < DENSE:
        return [-1] * 4
    experts = rng.sample(range(EXPERTS), TOP_K)
    slots = [rng.choice([s for s, e in enumerate(ALL_MAPS[layer]) if e == expert]) for expert in experts]
    return slots + [-1] * (4 - TOP_K)


def record(forward_pass: int, rank: int, positions: list[int], parts: list[int] | None) -> dict:
    ids = [[token_slots(layer) for _ in positions] for layer in range(HIDDEN)]
    physical = [[sum(slot == s for token in layer for slot in token) for s in range(SLOTS)] for layer in ids]
    return dict(forward_pass_id=forward_pass, rank=rank, gatherer_key="primary",
                input_ids=[rng.randrange(1000) for _ in positions], positions=positions, extend_seq_lens=parts,
                forward_mode=2 if parts is None else 1, topk_ids_of_layer=tensor("IntStorage", ids), misc_objects=[],
                global_physical_count=tensor("IntStorage", physical))


def dump(name: str, records: list[dict]) -> None:
    save(name, dict(records=records, last_physical_to_logical_map=tensor("LongStorage", ALL_MAPS)))


def sglang() -> None:
    write("sglang_placement.json", json.dumps({"physical_to_logical_map": ALL_MAPS}) + "\n")
    batches = [counts(), counts(), [[0] * EXPERTS] * HIDDEN]
    write("sglang_counts.json", json.dumps({"logical_count": batches}) + "\n")
    save("sglang_stat.pt", dict(rank=0, logical_count=tensor("IntStorage", batches), average_utilization_rate_over_window=0.5))
    # Two sequences of 3 and 2 tokens, then two decoding steps of both; the other rank one sequence of 4 tokens.
    rank0 = [record(0, 0, [0, 1, 2, 0, 1], [3, 2]), record(1, 0, [3, 2], None), record(2, 0, [4, 3], None)]
    rank1 = [record(0, 1, [0, 1, 2, 3], [4])]
    dump("sglang_token_rank0.pt", rank0)
    dump("sglang_token_rank1.pt", rank1)
    for each in rank0:
        del each["topk_ids_of_layer"], each["input_ids"], each["positions"]
    dump("sglang_pass.pt", rank0)


def tensorrt_llm() -> None:
    lines = "".join(f"  {layer + DENSE}: {slots}\n" for layer, slots in enumerate(MAPS))
    write("trtllm.yaml", f"initial_global_assignments:\n{lines}layer_updates_per_iter: 0\nnum_slots: {SLOTS}\n")
    folder = HERE / "trtllm_stats"
    folder.mkdir(exist_ok=True)
    write("trtllm_stats/meta_info.json", json.dumps({"num_experts": EXPERTS, "num_experts_per_token": TOP_K}) + "\n")
    for rank in range(2):
        write_safetensors(folder / f"rank{rank}.safetensors",
                          {f"{iteration}_{layer}": [rng.randrange(50) for _ in range(EXPERTS)]
                           for iteration in (100, 101) for layer in (1, 2)})


def vllm() -> None:
    lines = lambda records: "".join(json.dumps(each) + "\n" for each in records)
    write("vllm_mapping.jsonl", lines([dict(
        record_type="eplb_initial_mapping", version=1, num_redundant_experts=SLOTS - EXPERTS, num_slots=SLOTS,
        initial_global_assignments={str(layer): slots for layer, slots in enumerate(MAPS)})]))
    write("vllm_loads.jsonl", lines(
        [dict(record_type="eplb_load_meta", version=1, model="toy", num_ranks=RANKS, num_groups=1, num_nodes=1,
              num_layers=len(MAPS), num_redundant_experts=SLOTS - EXPERTS)] +
        [dict(record_type="eplb_load_stats", version=1, step=step, p2l_map=MAPS,
              expert_load=[[rng.randrange(30) for _ in range(SLOTS)] for _ in MAPS]) for step in (1, 2)]))
    write("vllm_expert_map.json", json.dumps(MAPS) + "\n")
    write("vllm_expert_ranks.json", json.dumps({"expert_to_ep_rank": [0, 1, 0, 1, 2, 2, 3, 3]}) + "\n")
    half = SLOTS // RANKS
    write("vllm_ascend.json", json.dumps({"moe_layer_count": len(MAPS), "layer_list": [
        {"layer_id": layer, "device_count": RANKS, "device_list": [
            {"device_id": rank, "device_expert": slots[half * rank:half * (rank + 1)]} for rank in range(RANKS)]}
        for layer, slots in enumerate(MAPS)]}, indent=1) + "\n")


def plain() -> None:
    ids = lambda tokens: ",".join(str(e) for _ in range(tokens) for e in rng.sample(range(EXPERTS), TOP_K))
    write("memra.txt", "".join(f"{layer} {tokens} {ids(tokens)}\n" for tokens in (3, 1) for layer in (1, 2)))
    for request in range(2):
        raw = b"".join(struct.pack("<2h", *rng.sample(range(EXPERTS), TOP_K)) for _ in range(5 * len(MAPS)))
        (HERE / f"routed_experts_{request}.bin").write_bytes(raw)
        write(f"routed_experts_{request}.txt", base64.b64encode(raw).decode() + "\n")


if __name__ == "__main__":
    fake_torch()
    sglang()
    tensorrt_llm()
    vllm()
    plain()
