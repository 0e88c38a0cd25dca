// Scalars, predicates and events, as the index looks at them.
//
// A path names what a predicate looks at: an attribute's value, a place within it, or metadata.
// Paths have numbers from 1; what an event has at a path is a run of scalars: one mostly, those
// of a list else, none for an object or an empty list.
//
// Numbers are doubles. Whoever makes values and predicates keeps them exact: a predicate's
// numbers are below 2^53 in size, and a value at or beyond that is given as an infinity, which
// compares with them all as the value does.
#pragma once

#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "geoscope/rtree.hpp"
#include "matching/area.hpp"
#include "matching/memory.hpp"

namespace rigel::matching {

using geoscope::Box;

inline constexpr float INFINITE = std::numeric_limits<float>::infinity();
inline constexpr float NOT_A_NUMBER = std::numeric_limits<float>::quiet_NaN();

// --- Keys: scalars that are equal have equal keys. The bits of a double, or those of a NaN that
// no arithmetic makes with the number of a text.

inline constexpr u64 TEXT_KEYS = 0xfff9000000000000ull;
inline constexpr u64 DATED_KEYS = 0xfffa000000000000ull;  // texts of values of type DateTime
inline constexpr u64 FALSE_KEY = 0xfffb000000000000ull;
inline constexpr u64 TRUE_KEY = 0xfffb000000000001ull;
inline constexpr u64 NULL_KEY = 0xfffb000000000002ull;
inline constexpr u64 NO_KEY = ~u64{0};

inline u64 bits_of(double number) {
    u64 bits;
    std::memcpy(&bits, &number, sizeof bits);
    return bits;
}
inline double number_of(u64 bits) {
    double number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}
inline u64 number_key(double number) {
    return std::isfinite(number) ? bits_of(number + 0.0) : NO_KEY;  // -0.0 equals 0.0
}
inline bool is_text_key(u64 key) { return key >= TEXT_KEYS && key < FALSE_KEY; }
inline bool is_number_key(u64 key) { return key < TEXT_KEYS || key >= 0xfffc000000000000ull; }
inline u32 text_of_key(u64 key) { return static_cast<u32>(key); }

// --- Predicates

enum Operation : u8 {
    EXISTS,
    ABSENT,
    EQUAL,         // low: a key
    ONE_OF,        // low: where the keys begin in the record, in words; high: how many
    NUMBER_RANGE,  // low, high: bits of doubles, infinite for none
    TEXT_RANGE,    // low, high: numbers of texts, 0 for none; by code points
};

enum PredicateFlags : u8 {
    NEGATED = 1,    // the property exists and the predicate does not hold
    OPEN_LOW = 2,   // the low end is excluded
    OPEN_HIGH = 4,
    DATED = 8,      // of a TEXT_RANGE: for values of type DateTime, else for plain strings
};

struct Predicate {
    u32 path;
    u8 operation;
    u8 flags;
    u16 spare;
    u64 low, high;

    double low_number() const { return number_of(low); }
    double high_number() const { return number_of(high); }
    bool is_negated() const { return flags & NEGATED; }
    // Whether no number can be in the range.
    bool is_empty_range() const { return !(low_number() <= high_number()); }
};

// --- Events

enum class TextKind : u8 { NOT_TEXT, PLAIN, DATED };

// One scalar. A DateTime is a number (seconds since 1970) and a dated text at once.
struct Value {
    u32 path;
    u32 run;          // scalars of this path from here on, this one included; 0: it only exists
    double number;    // NaN for none
    u64 number_key;   // NO_KEY for none
    u64 symbol_key;   // of a text, boolean or null; NO_KEY for none
    const char* text; // for TEXT_RANGE; whoever made the event keeps it
    u32 length;
    TextKind kind;
};

// What happened, as bits, and the sets of attribute names that go with it.
enum Alteration : u8 { CREATED = 1, CHANGED = 2, UPDATED = 4, DELETED = 8 };
enum NameSets : u8 { IN_UPDATE = 1, VALUE_CHANGED = 2, METADATA_CHANGED = 4 };

// A subscription's alterations and whether changed metadata counts, in one number.
inline constexpr u8 ON_METADATA = 16;
inline constexpr u32 TRIGGERS = 32;

// How far an event reaches subscriptions of one trigger: the NameSets of which one has to hold a
// condition attribute, or one of these.
inline constexpr u8 REACHES_ALWAYS = 8;    // whatever the condition attributes
inline constexpr u8 REACHES_EMPTY = 16;    // those without condition attributes

struct Named {
    u32 path;
    u8 sets;
};

struct Event {
    u32 id = 0;  // 0: no subscription has that text
    u32 type = 0;
    std::vector<u32> id_patterns;
    std::vector<u32> type_patterns;
    std::vector<Value> values;  // the scalars of a path stand together
    std::vector<Named> names;   // condition attributes; one may stand several times
    std::vector<u32> scopes;    // service paths that cover the entity's, as service_path_code
    std::vector<Box> boxes;     // around its locations, first those that are points
    std::vector<Position> positions;  // those that are points
    u8 reach[TRIGGERS] = {};
    bool is_deletion = false;
    bool has_lists = false;  // whether a path has other than one scalar
    bool has_extents = false;  // whether a location is other than a point

    void clear() {
        id = type = 0;
        id_patterns.clear();
        type_patterns.clear();
        values.clear();
        names.clear();
        scopes.clear();
        boxes.clear();
        positions.clear();
        is_deletion = has_lists = has_extents = false;
    }
};

inline constexpr u32 OPEN_DOWNWARDS = 0x80000000u;  // a service path ending in "/#"

inline u32 service_path_code(u32 text, bool open) { return open ? text | OPEN_DOWNWARDS : text; }
inline u32 text_of_service_path(u32 code) { return code & ~OPEN_DOWNWARDS; }

// What the alteration means for each trigger; `sets`: NameSets that are not empty.
// Source: Orion API, "Subscriptions based in alteration type".
inline void fill_reach(Event& event, u8 alteration, u8 sets) {
    event.is_deletion = alteration == DELETED;
    for (u32 trigger = 0; trigger < TRIGGERS; ++trigger) {
        const bool on_metadata = trigger & ON_METADATA;
        const u8 wanted = trigger & 15;
        u8 kind = alteration;
        if (kind == CHANGED && !(sets & VALUE_CHANGED) && !on_metadata) kind = UPDATED;
        u8 looked_at = 0;
        if (kind == DELETED) {
            event.reach[trigger] = wanted & DELETED ? REACHES_ALWAYS : 0;
            continue;
        }
        if (kind == UPDATED || (kind == CHANGED && (wanted & UPDATED))) {
            if (wanted & UPDATED) looked_at = IN_UPDATE;
        } else if (wanted == 0 || (wanted & kind)) {
            looked_at = VALUE_CHANGED;
            if (on_metadata) looked_at |= METADATA_CHANGED;
        }
        event.reach[trigger] = looked_at;
        if (looked_at & sets) event.reach[trigger] |= REACHES_EMPTY;
    }
}

}  // namespace rigel::matching
