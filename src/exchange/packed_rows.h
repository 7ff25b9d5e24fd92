// Messages of rows (wire.h) with the rows packed (row_packing.h): header and entries as they are,
// another magic number, then the packed numbers of all rows.
#pragma once
#include "exchange/wire.h"

namespace gracemoe {

// Packs the rows of a message of bf16 that encode_rows() made, unless that saves nothing; returns
// how many of its bytes are rows.
std::size_t pack_message(const RowFormat& format, Bytes& message);
// Gives back what pack_message() was given; leaves every other message as it is. Error as
// decode_rows() if the rows cannot be right; no more memory is taken than twice the message's.
void unpack_message(const Stamp& stamp, int sender, const RowFormat& format, Bytes& message);
// encode_rows(), packed where the format allows and it gains; decode_rows() of either. Both return
// how many of the message's bytes are rows.
std::size_t write_rows(const RowSet& set, const Stamp& stamp, int sender, const RowFormat& format,
                       Bytes& message);
std::size_t read_rows(Bytes& message, const Stamp& stamp, int sender, const RowFormat& format,
                      RowSet& set);

}  // namespace gracemoe
