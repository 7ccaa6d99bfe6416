#include "onnx_input.h"

#include <cstdint>
#include <set>
#include <string>

namespace faced {
namespace {

// A message of Protocol Buffers' wire format, field by field.
class Message {
 public:
  Message(const char* begin, const char* end) : at_(begin), end_(end) {}

  // False at the end.
  bool next() {
    if (at_ == end_) return false;
    const std::uint64_t tag = varint();
    field = tag >> 3;
    number = 0;
    inner_ = inner_end_ = nullptr;
    switch (tag & 7) {
      case 0:
        number = varint();
        break;
      case 1:
        skip(8);
        break;
      case 2: {
        const std::uint64_t length = varint();
        inner_ = at_;
        skip(length);
        inner_end_ = at_;
        break;
      }
      case 5:
        skip(4);
        break;
      default:
        throw Failure("the file is not an ONNX model");
    }
    return true;
  }

  Message message() const { return Message(inner_, inner_end_); }
  std::string text() const { return inner_ == nullptr ? "" : std::string(inner_, inner_end_); }

  std::uint64_t field = 0;
  std::uint64_t number = 0;

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const std::uint64_t byte = static_cast<unsigned char>(*at_++);
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw Failure("the ONNX file is cut off");
  }
  void skip(std::uint64_t bytes) {
    if (bytes > static_cast<std::uint64_t>(end_ - at_)) throw Failure("the ONNX file is cut off");
    at_ += bytes;
  }

  const char* at_;
  const char* end_;
  // The bytes of a field that has some.
  const char* inner_ = nullptr;
  const char* inner_end_ = nullptr;
};

// The message in field `field`, empty when there is none.
Message part(Message whole, std::uint64_t field) {
  while (whole.next())
    if (whole.field == field) return whole.message();
  return Message(nullptr, nullptr);
}

std::string name_of(Message whole, std::uint64_t field) {
  while (whole.next())
    if (whole.field == field) return whole.text();
  return "";
}

// ValueInfoProto: type (2), its tensor_type (1), its shape (2), whose dim (1) has a dim_value (1).
std::vector<int> shape_of(const Message& value) {
  std::vector<int> shape;
  for (Message dims = part(part(part(value, 2), 1), 2); dims.next();) {
    std::uint64_t size = 0;
    for (Message dim = dims.message(); dim.next();)
      if (dim.field == 1) size = dim.number;
    if (size == 0 && shape.empty()) size = 1;
    if (size == 0 || size > 65536) throw Failure("only the batch of the input may be free");
    shape.push_back(static_cast<int>(size));
  }
  return shape;
}

}  // namespace

TensorInfo onnx_input(const std::vector<char>& file) {
  const Message graph = part(Message(file.data(), file.data() + file.size()), 7);
  // Until opset 13 the weights may stand among the inputs too.
  std::set<std::string> weights;
  for (Message fields = graph; fields.next();)
    if (fields.field == 5) weights.insert(name_of(fields.message(), 8));
  TensorInfo found;
  for (Message fields = graph; fields.next();) {
    if (fields.field != 11 || weights.count(name_of(fields.message(), 1)) > 0) continue;
    if (!found.shape.empty()) throw Failure("the network has more than one input");
    found = {name_of(fields.message(), 1), shape_of(fields.message())};
  }
  if (found.shape.size() < 2 || found.shape[0] != 1) throw Failure("the network must have one input with a batch of 1");
  return found;
}

}  // namespace faced
