// Grouped SwiGLU: gate and up in one product (a panel holds 16 gates and the same 16 ups, so that
// silu(g) * u is taken from one tile's sums), rounded to bf16, then down, rounded to bf16. Work
// goes in waves of a bounded number of entries, each in three steps: pack x, gate and up, down.
// With int8 weights nothing is rounded to bf16 before the output: h stays float32 until it is
// packed, a step of its own, because a block's scale needs all of its values.
#include "compute/checks.h"
#include "compute/cpu/buffer.h"
#include "compute/cpu/packed_matrix.h"
#include "compute/cpu/panel_memory.h"
#include "compute/cpu/parallel.h"
#include "compute/cpu/parts.h"

namespace gracemoe {
namespace {

constexpr std::size_t kGates = kPanel / 2;  // gates of a panel of gate and up
// Bounds the scratch memory: for hidden 2048 and width 1024, 12 MB of tiles in bf16.
constexpr std::size_t kWaveEntries = 2048;

// Some entries of one expert, which share its panels while these are in the cache.
struct Block {
  std::size_t expert = 0;
  std::size_t first = 0;  // entry
  Cut tiles;
};

std::vector<Block> cut_blocks(const GroupedRows& work, std::size_t tile_rows) {
  std::vector<Block> blocks;
  for (std::size_t group = 0; group < work.expert.size(); ++group) {
    const auto first = static_cast<std::size_t>(work.offsets[group]);
    const Cut cut(static_cast<std::size_t>(work.offsets[group + 1]) - first,
                  kBlockTiles * tile_rows);
    for (std::size_t b = 0; b < cut.parts(); ++b) {
      blocks.push_back({static_cast<std::size_t>(work.expert[group]), first + cut.first(b),
                        Cut(cut.size(b), tile_rows)});
    }
  }
  return blocks;
}

std::vector<std::span<const Block>> blocks_by_expert(std::span<const Block> blocks) {
  std::vector<std::span<const Block>> runs;
  for (std::size_t first = 0; first < blocks.size();) {
    std::size_t last = first + 1;
    while (last < blocks.size() && blocks[last].expert == blocks[first].expert) ++last;
    runs.push_back(blocks.subspan(first, last - first));
    first = last;
  }
  return runs;
}

class PackedExperts final : public ExpertGroup {
 public:
  PackedExperts(std::vector<ExpertWeights> experts, const ProductKernels& product, RowStore store,
                int threads, const std::shared_ptr<BufferShelf>& shelf,
                const std::shared_ptr<HostMemory>& shared)
      : product_(product),
        store_(store),
        threads_(threads),
        shelf_(shelf),
        experts_(experts.size()) {
    if (experts.empty()) return;
    hidden_ = static_cast<std::size_t>(experts[0].down.out);
    width_ = static_cast<std::size_t>(experts[0].down.in);
    gate_up_ = {(width_ + kGates - 1) / kGates * kPanel, hidden_, product_.format};
    down_ = {hidden_, width_, product_.format};
    panels_ = PanelMemory(experts.size() * expert_bytes(), shared);
    if (!panels_.mine()) return;
    const auto elements = static_cast<double>(experts.size() * hidden_ * width_) * 3;
    parallel_for(threads_, experts.size(), elements, [&](std::size_t e, int) {
      pack_expert(experts[e], e);
      experts[e] = {};
    });
  }

  void forward(const GroupedRows& work, std::byte* outputs) const override {
    check_grouped_rows(work, experts_);
    const auto blocks = cut_blocks(work, product_.max_rows);
    const std::size_t wave_entries = std::min(kWaveEntries + kBlockTiles * kMaxTileRows,
                                              static_cast<std::size_t>(work.row_of.size()));
    Wave wave;
    wave.work = &work;
    wave.outputs = outputs;
    wave.x = LentBuffer(*shelf_, wave_entries * x_row_bytes());
    wave.h = LentBuffer(*shelf_, wave_entries * h_row_bytes());
    if (repacks()) wave.h_values = LentBuffer(*shelf_, wave_entries * h_width() * sizeof(float));
    for (std::size_t first = 0; first < blocks.size();) {
      std::size_t last = first, entries = 0;
      do {
        entries += blocks[last].tiles.items();
      } while (++last < blocks.size() && entries < kWaveEntries);
      wave.blocks = std::span(blocks).subspan(first, last - first);
      run(wave, static_cast<double>(entries));
      first = last;
    }
  }

 private:
  struct Wave {
    const GroupedRows* work = nullptr;
    std::byte* outputs = nullptr;
    std::span<const Block> blocks;
    LentBuffer x, h;      // tiles, a block's behind the block's before
    LentBuffer h_values;  // float32 [entries][h_width()], where h is packed from them
    std::size_t offset(const Block& block) const { return block.first - blocks[0].first; }
  };

  bool repacks() const { return product_.format == WeightFormat::kInt8; }
  std::size_t expert_bytes() const { return gate_up_.bytes() + down_.bytes(); }
  std::size_t x_row_bytes() const { return product_.row_bytes(hidden_); }
  std::size_t h_width() const { return gate_up_.panels() * kGates; }
  std::size_t h_row_bytes() const { return product_.row_bytes(h_width()); }
  std::byte* gate_up_panels(std::size_t expert) const {
    return panels_.data() + expert * expert_bytes();
  }
  std::byte* down_panels(std::size_t expert) const {
    return gate_up_panels(expert) + gate_up_.bytes();
  }

  void pack_expert(const ExpertWeights& expert, std::size_t e) {
    const auto gate_or_up = [&](std::size_t o) -> const bf16* {
      const std::size_t row = o / kPanel * kGates + o % kGates;
      const auto& data = o % kPanel < kGates ? expert.gate.data : expert.up.data;
      return row < width_ ? data.data() + row * hidden_ : nullptr;
    };
    const auto down = [&](std::size_t o) -> const bf16* {
      return o < hidden_ ? expert.down.data.data() + o * width_ : nullptr;
    };
    pack_matrix(gate_up_, gate_or_up, gate_up_panels(e));
    pack_matrix(down_, down, down_panels(e));
  }

  void run(const Wave& wave, double entries) const {
    const auto size = static_cast<double>(hidden_ * width_);
    parallel_for(threads_, wave.blocks.size(), entries * static_cast<double>(hidden_),
                 [&](std::size_t b, int) { pack_block(wave, wave.blocks[b]); });
    for_each_part(wave, gate_up_, 2 * entries * size,
                  [&](const Block& block, std::size_t first, std::size_t last) {
                    gate_and_up(wave, block, first, last);
                  });
    if (repacks()) {
      parallel_for(threads_, wave.blocks.size(), entries * static_cast<double>(width_),
                   [&](std::size_t b, int) { pack_h(wave, wave.blocks[b]); });
    }
    for_each_part(wave, down_, entries * size,
                  [&](const Block& block, std::size_t first, std::size_t last) {
                    down(wave, block, first, last);
                  });
  }

  // use(block, first panel, last panel): all panels of all blocks, in parallel; the blocks of an
  // expert take turns on its parts.
  template <class Use>
  void for_each_part(const Wave& wave, const PackedShape& shape, double work,
                     const Use& use) const {
    const auto runs = blocks_by_expert(wave.blocks);
    std::size_t sharing = 0;
    for (const auto& run : runs) sharing = std::max(sharing, run.size());
    const std::size_t parts =
        panel_parts(threads_, wave.blocks.size(), sharing, shape.panels(), product_.most_panels);
    const Cut panels(shape.panels(), (shape.panels() + parts - 1) / parts);
    struct Item {
      const Block* block;
      std::size_t part;
    };
    std::vector<Item> items;
    for (const auto& run : runs) {
      for (std::size_t part = 0; part < panels.parts(); ++part) {
        for (const Block& block : run) items.push_back({&block, part});
      }
    }
    parallel_for(threads_, items.size(), work, [&](std::size_t i, int) {
      const auto [block, part] = items[i];
      use(*block, panels.first(part), panels.first(part + 1));
    });
  }

  void pack_block(const Wave& wave, const Block& block) const {
    const std::byte* rows[kMaxTileRows];
    std::byte* tiles = wave.x.data() + wave.offset(block) * x_row_bytes();
    for (std::size_t t = 0; t < block.tiles.parts(); ++t) {
      for (std::size_t r = 0; r < block.tiles.size(t); ++r) {
        rows[r] = wave.work->row(block.first + block.tiles.first(t) + r, hidden_ * sizeof(bf16));
      }
      product_.pack_bf16(rows, block.tiles.size(t), hidden_,
                         tiles + block.tiles.first(t) * x_row_bytes());
    }
  }

  void pack_h(const Wave& wave, const Block& block) const {
    for (std::size_t t = 0; t < block.tiles.parts(); ++t) {
      const std::size_t row = wave.offset(block) + block.tiles.first(t);
      const float* rows[kMaxTileRows];
      for (std::size_t r = 0; r < block.tiles.size(t); ++r) {
        rows[r] = reinterpret_cast<const float*>(wave.h_values.data()) + (row + r) * h_width();
      }
      product_.pack_float(rows, block.tiles.size(t), h_width(),
                          wave.h.data() + row * h_row_bytes());
    }
  }

  void gate_and_up(const Wave& wave, const Block& block, std::size_t first,
                   std::size_t last) const {
    const std::byte* x = wave.x.data() + wave.offset(block) * x_row_bytes();
    const std::size_t h_bytes = repacks() ? h_width() * sizeof(float) : h_row_bytes();
    std::byte* h = (repacks() ? wave.h_values : wave.h).data() + wave.offset(block) * h_bytes;
    const Cut& tiles = block.tiles;
    for_each_panels(
        product_, tiles.parts(), first, last, [&](std::size_t panel, std::size_t count, bool more) {
          Sums sums;
          const std::size_t stride = count * kPanel;
          multiply({tiles, 0, tiles.parts(), x, x_row_bytes(), sums, stride}, hidden_,
                   gate_up_panels(block.expert) + panel * gate_up_.panel_bytes(),
                   gate_up_.panel_bytes(), count, more);
          for (std::size_t t = 0; t < tiles.parts(); ++t) {
            for (std::size_t c = 0; c < count; ++c) {
              product_.gate(sums + tiles.first(t) * stride + c * kPanel, stride, tiles.size(t),
                            (panel + c) * kGates, h_width(), h + tiles.first(t) * h_bytes);
            }
          }
        });
  }

  void down(const Wave& wave, const Block& block, std::size_t first, std::size_t last) const {
    const std::byte* h = wave.h.data() + wave.offset(block) * h_row_bytes();
    const Cut& tiles = block.tiles;
    for_each_panels(product_, tiles.parts(), first, last,
                    [&](std::size_t panel, std::size_t count, bool more) {
                      Sums sums;
                      const std::size_t stride = count * kPanel;
                      multiply({tiles, 0, tiles.parts(), h, h_row_bytes(), sums, stride}, width_,
                               down_panels(block.expert) + panel * down_.panel_bytes(),
                               down_.panel_bytes(), count, more);
                      const std::size_t columns = down_.columns(panel, count);
                      for (std::size_t r = 0; r < tiles.items(); ++r) {
                        const std::size_t at = (block.first + r) * hidden_ + panel * kPanel;
                        store_(sums + r * stride, wave.outputs + at * sizeof(bf16), columns);
                      }
                    });
  }

  void multiply(const BlockTiles& tiles, std::size_t in, const std::byte* panels,
                std::size_t panel_bytes, std::size_t count, bool more) const {
    product_.multiply(tiles.all(), panels, product_.depth(in), count,
                      more ? panels + count * panel_bytes : nullptr);
  }

  ProductKernels product_;
  RowStore store_;
  int threads_;
  std::shared_ptr<BufferShelf> shelf_;
  std::size_t experts_;
  std::size_t hidden_ = 0, width_ = 0;
  PackedShape gate_up_, down_;  // gate_up_.out counts the padding of its last panel
  PanelMemory panels_;          // per expert: gate and up, then down
};

}  // namespace

std::unique_ptr<ExpertGroup> make_packed_experts(std::vector<ExpertWeights> experts,
                                                 const ProductKernels& product, RowStore store,
                                                 int threads,
                                                 const std::shared_ptr<BufferShelf>& shelf,
                                                 const std::shared_ptr<HostMemory>& shared) {
  check_experts(experts);
  return std::make_unique<PackedExperts>(std::move(experts), product, store, threads, shelf,
                                         shared);
}

}  // namespace gracemoe
