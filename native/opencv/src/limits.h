#pragma once

namespace faced {

// Wide enough for any picture within the limits of decode(), narrow enough that width * height * 3 fits in 31 bits.
constexpr int kMaxSide = 26000;

}  // namespace faced
