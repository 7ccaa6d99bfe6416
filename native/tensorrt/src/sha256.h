#pragma once

#include <string>
#include <vector>

namespace faced {

// SHA-256 (FIPS 180-4) in lower-case hexadecimal. Of our own, because the board's only other one would be OpenSSL's.
std::string sha256(const std::vector<char>& bytes);

}  // namespace faced
