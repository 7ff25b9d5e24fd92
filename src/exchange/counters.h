// What a device counts in dispatch and combine, per MoE layer (method.md section 7). Bytes are
// those this device *sends*, where nothing else is said; sums over devices therefore count every
// byte once.
#pragma once
#include <cstdint>
#include <vector>

namespace gracemoe {

struct TrafficBytes {
  std::int64_t cross_node = 0;  // to a device of another node
  std::int64_t intra_node = 0;  // to another device of the same node
  TrafficBytes& operator+=(const TrafficBytes& more) {
    cross_node += more.cross_node;
    intra_node += more.intra_node;
    return *this;
  }
};

struct LayerCounters {
  std::int64_t tokens = 0;   // tokens at home here that passed this layer
  std::int64_t entries = 0;  // (token, expert instance) pairs computed here: the device's load
  TrafficBytes dispatch_payload, combine_payload;            // rows and partial sums
  TrafficBytes dispatch_metadata, combine_metadata;          // headers, routing entries
  std::int64_t dispatch_received = 0, combine_received = 0;  // payload from other nodes
  std::int64_t cross_node_rows = 0;                          // rows sent to other nodes in dispatch
  // Times that this device copied a row for other devices of its node, to a message or to shared
  // memory.
  std::int64_t intra_row_copies = 0;
  std::int64_t rows_handed_over = 0;  // to others of the node, for them to send (Even)
  std::int64_t messages = 0;          // sent in dispatch and combine, those without rows included
  double dispatch_seconds = 0;        // wall time inside dispatch, waiting included
  double combine_seconds = 0;

  LayerCounters& operator+=(const LayerCounters& more);
};

inline LayerCounters& LayerCounters::operator+=(const LayerCounters& more) {
  tokens += more.tokens;
  entries += more.entries;
  dispatch_payload += more.dispatch_payload;
  combine_payload += more.combine_payload;
  dispatch_metadata += more.dispatch_metadata;
  combine_metadata += more.combine_metadata;
  dispatch_received += more.dispatch_received;
  combine_received += more.combine_received;
  cross_node_rows += more.cross_node_rows;
  intra_row_copies += more.intra_row_copies;
  rows_handed_over += more.rows_handed_over;
  messages += more.messages;
  dispatch_seconds += more.dispatch_seconds;
  combine_seconds += more.combine_seconds;
  return *this;
}

struct ExchangeCounters {
  std::vector<LayerCounters> layers;  // [MoE layers]
};

}  // namespace gracemoe
