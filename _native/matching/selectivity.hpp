// How many events a predicate lets through: estimates that choose where a member is posted.
//
// A bad estimate makes an event slower, never wrong.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "matching/hash_table.hpp"
#include "matching/record.hpp"
#include "matching/values.hpp"

namespace rigel::matching {

// How often an attribute of an event is among those that changed, before anything is known:
// entities have a dozen attributes or more, and a measurement brings one or two.
inline constexpr double CHANGE_RATE = 1.0 / 16;

// How many different keys there were, within a third: a HyperLogLog of 16 registers.
class DistinctCount {
  public:
    void add(u64 key) {
        const u64 hash = mix(key);
        const auto rank = static_cast<u8>(__builtin_clzll(hash | 1) + 1);
        u8& highest = ranks_[hash % REGISTERS];
        if (rank <= highest) return;
        highest = rank;
        estimate_ = estimate();
    }

    u32 value() const { return estimate_; }

  private:
    static constexpr u32 REGISTERS = 16;

    u32 estimate() const {
        double sum = 0;
        u32 empty = 0;
        for (const u8 rank : ranks_) {
            sum += std::ldexp(1.0, -rank);
            empty += rank == 0;
        }
        const double raw = 0.673 * REGISTERS * REGISTERS / sum;
        if (raw <= 2.5 * REGISTERS && empty != 0) {
            return static_cast<u32>(REGISTERS * std::log(static_cast<double>(REGISTERS) / empty));
        }
        return static_cast<u32>(std::min(raw, 1e9));
    }

    u8 ranks_[REGISTERS];
    u32 estimate_;
};

// What is known of the values at one path.
struct PathStatistics {
    static constexpr u32 SAMPLES = 32;

    float least, greatest;  // of the bounds of predicates
    bool has_bounds;
    DistinctCount operands;    // ever compared with for equality
    u32 equalities;            // buckets of equal values, wherever
    u32 triggered_equalities;  // those looked at only when the attribute changed
    u32 sample_count;          // ever taken
    float* samples;            // the last numbers of events, some of them; SAMPLES or nullptr

    double span() const {
        return has_bounds ? static_cast<double>(greatest) - static_cast<double>(least) : 0;
    }

    void widen(double bound) {
        const auto rounded = static_cast<float>(bound);
        if (!std::isfinite(rounded)) return;
        least = has_bounds ? std::min(least, rounded) : rounded;
        greatest = has_bounds ? std::max(greatest, rounded) : rounded;
        has_bounds = true;
    }

    void sample(float number) {
        if (samples == nullptr) {
            samples = static_cast<float*>(std::calloc(SAMPLES, sizeof(float)));
            if (samples == nullptr) return;
        }
        samples[sample_count++ % SAMPLES] = number;
    }
};

class Selectivity {
  public:
    Selectivity() = default;
    Selectivity(const Selectivity&) = delete;
    Selectivity& operator=(const Selectivity&) = delete;
    ~Selectivity() {
        for (u32 path = 0; path < paths_.size(); ++path) std::free(paths_[path].samples);
    }

    // Paths are below it.
    u32 bound() const { return paths_.size(); }

    void add_path(u32 path) {
        while (paths_.size() <= path) paths_.append();
    }
    void forget(u32 path) {
        std::free(paths_[path].samples);
        paths_[path] = PathStatistics{};
    }

    PathStatistics& operator[](u32 path) { return paths_[path]; }
    const PathStatistics& operator[](u32 path) const { return paths_[path]; }

    // `keys`: what `low` of a ONE_OF counts from.
    void learn(const Predicate& predicate, const u64* keys) {
        PathStatistics& known = paths_[predicate.path];
        if (predicate.operation == NUMBER_RANGE) {
            known.widen(predicate.low_number());
            known.widen(predicate.high_number());
        } else if (predicate.operation == EQUAL) {
            known.operands.add(predicate.low);
        } else if (predicate.operation == ONE_OF) {
            for (u64 i = 0; i < predicate.high; ++i) known.operands.add(keys[predicate.low + i]);
        }
    }

    double of_equality(u32 path) const { return 1.0 / (4.0 + paths_[path].operands.value()); }
    double of_range(const Predicate& predicate) const {
        const PathStatistics& known = paths_[predicate.path];
        const double low = predicate.low_number(), high = predicate.high_number();
        const double span = known.span() > 0 ? known.span() : 1;
        if (std::isfinite(low) && std::isfinite(high)) {
            return std::clamp((high - low) / span, 1e-7, 1.0);
        }
        if (known.sample_count >= PathStatistics::SAMPLES / 2) {
            const u32 count = std::min(known.sample_count, PathStatistics::SAMPLES);
            u32 hits = 0;
            for (u32 i = 0; i < count; ++i) {
                hits += known.samples[i] >= low && known.samples[i] <= high;
            }
            return (hits + 0.5) / (count + 1.0);
        }
        const double reach = std::isfinite(low) ? known.greatest - low : high - known.least;
        return std::clamp(reach / span, 1e-3, 1.0);
    }

    std::size_t memory_bytes() const { return paths_.memory_bytes(); }

  private:
    Segments<PathStatistics> paths_;
};

}  // namespace rigel::matching
