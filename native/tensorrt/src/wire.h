// The protocol of PROTOCOL.md, version 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace faced {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is little-endian, and so is every board it is for");

constexpr std::uint32_t kMagic = 0x54524346;  // "FCRT"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 16;
// Pictures in one request.
constexpr std::uint32_t kMostPictures = 16;

enum class Kind : std::uint16_t { kHello = 1, kRun = 2, kHealth = 3, kError = 4 };

struct Header {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t kind;
  std::uint32_t id;
  std::uint32_t length;
};
static_assert(sizeof(Header) == kHeaderBytes, "no padding");

inline std::string frame(Kind kind, std::uint32_t id, std::size_t length) {
  const Header header{kMagic, kVersion, static_cast<std::uint16_t>(kind), id, static_cast<std::uint32_t>(length)};
  std::string bytes(kHeaderBytes + length, '\0');
  std::memcpy(&bytes[0], &header, kHeaderBytes);
  return bytes;
}

inline std::string frame(Kind kind, std::uint32_t id, const std::string& body) {
  std::string bytes = frame(kind, id, body.size());
  std::memcpy(&bytes[kHeaderBytes], body.data(), body.size());
  return bytes;
}

}  // namespace faced
