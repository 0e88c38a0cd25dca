// Where an entity's location has to be: the exact test of a position.
//
// A circle is kept by value, for it is read once for each candidate; a region is somebody else's,
// who keeps it as long as the subscription is in.
#pragma once

#include <type_traits>

#include "geoscope/region.hpp"
#include "geoscope/sphere.hpp"
#include "matching/memory.hpp"

namespace rigel::matching {

// Longitude and latitude in degrees.
struct Position {
    double lon, lat;
};

struct Area {
    enum Kind : u8 { ANYWHERE, CIRCLE, REGION };

    Kind kind = ANYWHERE;
    geoscope::Annulus circle;
    const geoscope::Region* region = nullptr;

    static Area of(const geoscope::Annulus& circle) { return {CIRCLE, circle, nullptr}; }
    static Area of(const geoscope::Region* region) { return {REGION, {}, region}; }

    // Words of it in a record.
    static constexpr u32 CIRCLE_WORDS = sizeof(geoscope::Annulus) / sizeof(u64);
    static constexpr u32 words_of(Kind kind) {
        return kind == CIRCLE ? CIRCLE_WORDS : kind == REGION ? 1 : 0;
    }
};
static_assert(std::is_trivially_copyable_v<geoscope::Annulus> &&
              sizeof(geoscope::Annulus) % sizeof(u64) == 0);

}  // namespace rigel::matching
