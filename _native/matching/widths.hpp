// How wide the ranges of a stratum are, and the width at which two strata are better than one.
#pragma once

#include <algorithm>
#include <cmath>

#include "matching/memory.hpp"

namespace rigel::matching {

class Widths {
  public:
    void add(float width) {
        const u32 bin = bin_of(width);
        ++counts_[bin];
        widest_[bin] = std::max(widest_[bin], width);
    }

    // The width at which a split saves most, 0 if none saves more than a stratum costs. `scale`:
    // ranges of the stratum for each one added here, by the span of the numbers; `widest` of all.
    float best_split(double scale, float widest) const {
        double best = WORTH;
        float width = 0, narrow_widest = 0;
        double narrow = 0;
        for (u32 bin = 0; bin < BINS; ++bin) {
            if (counts_[bin] == 0) continue;
            const double saved = narrow * scale * (static_cast<double>(widest) - narrow_widest);
            if (saved > best) {
                best = saved;
                width = lowest_of(bin);
            }
            narrow += counts_[bin];
            narrow_widest = std::max(narrow_widest, widest_[bin]);
        }
        return width;
    }

  private:
    // Ranges scanned in vain that are worth one more stratum, with its cache misses.
    static constexpr double WORTH = 48;
    static constexpr u32 BINS = 512;  // by half powers of two
    static constexpr float SQRT_HALF = 0.70710678f;

    static u32 bin_of(float width) {
        if (!(width > 0)) return 0;
        int exponent;
        const float mantissa = std::frexp(std::min(width, 3e38f), &exponent);
        const int bin = (exponent + 120) * 2 + (mantissa >= SQRT_HALF);
        return static_cast<u32>(std::clamp(bin, 1, static_cast<int>(BINS) - 1));
    }
    static float lowest_of(u32 bin) {
        if (bin == 0) return 0;
        const int half_powers = static_cast<int>(bin);
        return std::ldexp(half_powers % 2 ? SQRT_HALF : 0.5f, half_powers / 2 - 120);
    }

    u32 counts_[BINS] = {};
    float widest_[BINS] = {};
};

}  // namespace rigel::matching
