// What one subscription asks, in the arena: condition attributes, predicates, boxes, keys, area.
//
// Shared by all members (selectors and further postings) of the subscription.
#pragma once

#include <vector>

#include "matching/memory.hpp"
#include "matching/values.hpp"

namespace rigel::matching {

// A subscription's conjunction before it is stored. Its texts and paths have references already.
struct Content {
    std::vector<u32> attributes;  // paths of condition attributes; empty: any
    std::vector<Predicate> predicates;
    std::vector<u64> keys;  // of ONE_OF: low is an index here until it is stored
    std::vector<Box> boxes;
    Area area;

    void clear() {
        attributes.clear();
        predicates.clear();
        keys.clear();
        boxes.clear();
        area = Area{};
    }
};

class Record {
    struct Header {
        u16 words, attributes, predicates, boxes;
    };

  public:
    // Counts are kept in 16 bits; whoever has more leaves the rest to the exact test.
    static constexpr std::size_t MAX_ATTRIBUTES = 1024;
    static constexpr std::size_t MAX_PREDICATES = 64;
    static constexpr std::size_t MAX_KEYS = 1024;
    static constexpr std::size_t MAX_BOXES = 16;

    Record(const Arena& arena, u32 address) : words_(arena.at(address)) {}

    static bool has_room_for(const Content& content) {
        return content.attributes.size() <= MAX_ATTRIBUTES &&
               content.predicates.size() <= MAX_PREDICATES && content.keys.size() <= MAX_KEYS &&
               content.boxes.size() <= MAX_BOXES;
    }

    static u32 store(Arena& arena, const Content& content) {
        const u32 attribute_words = words_for_attributes(content.attributes.size());
        const auto predicate_words = static_cast<u32>(content.predicates.size() * PREDICATE_WORDS);
        const auto box_words = static_cast<u32>(content.boxes.size() * BOX_WORDS);
        const u32 before_keys = 1 + attribute_words + predicate_words + box_words;
        const u32 before_area = before_keys + static_cast<u32>(content.keys.size());
        const u32 words = before_area + Area::words_of(content.area.kind);
        const u32 address = arena.take(words);
        const Record record(arena, address);
        *record.header() = {static_cast<u16>(words), static_cast<u16>(content.attributes.size()),
                            static_cast<u16>(content.predicates.size()),
                            static_cast<u16>(content.boxes.size())};
        copy(record.words_ + 1, content.attributes);
        copy(record.words_ + 1 + attribute_words, content.predicates);
        copy(record.words_ + 1 + attribute_words + predicate_words, content.boxes);
        copy(record.words_ + before_keys, content.keys);
        u64* area = record.words_ + before_area;
        if (content.area.kind == Area::CIRCLE) {
            std::memcpy(area, &content.area.circle, sizeof content.area.circle);
        } else if (content.area.kind == Area::REGION) {
            std::memcpy(area, &content.area.region, sizeof content.area.region);
        }
        for (u32 i = 0; i < content.predicates.size(); ++i) {
            Predicate& predicate = record.predicates()[i];
            if (predicate.operation == ONE_OF) predicate.low += before_keys;
        }
        return address;
    }

    void prefetch() const { __builtin_prefetch(words_); }  // mostly one line of the cache
    void prefetch_end(Area::Kind area) const {
        __builtin_prefetch(words_ + 3 + Area::words_of(area));  // of one with a box and no more
    }

    u32 words() const { return header()->words; }
    u32 attribute_count() const { return header()->attributes; }
    u32 predicate_count() const { return header()->predicates; }
    u32 box_count() const { return header()->boxes; }

    const u32* attributes() const { return reinterpret_cast<const u32*>(words_ + 1); }
    Predicate* predicates() const {
        return reinterpret_cast<Predicate*>(words_ + 1 + words_for_attributes(attribute_count()));
    }
    const Box* boxes() const {
        return reinterpret_cast<const Box*>(predicates() + predicate_count());
    }
    const u64* begin() const { return words_; }
    const u64* keys(const Predicate& predicate) const { return words_ + predicate.low; }

    // Whether the position is in the area, of which kind the member knows.
    bool has(Area::Kind kind, const Position& position) const {
        const u64* area = words_ + words() - Area::words_of(kind);
        if (kind == Area::CIRCLE) {
            geoscope::Annulus circle;
            std::memcpy(static_cast<void*>(&circle), area, sizeof circle);
            return circle.has(position.lon, position.lat);
        }
        const geoscope::Region* region;
        std::memcpy(&region, area, sizeof region);
        return region->touches(position.lon, position.lat);
    }

    bool has_attribute(u32 path) const {
        const u32* names = attributes();
        for (u32 i = 0; i < attribute_count(); ++i) {
            if (names[i] == path) return true;
        }
        return false;
    }

  private:
    static constexpr std::size_t PREDICATE_WORDS = sizeof(Predicate) / sizeof(u64);
    static constexpr std::size_t BOX_WORDS = sizeof(Box) / sizeof(u64);
    static_assert(sizeof(Predicate) == 24 && sizeof(Box) == 16);

    Header* header() const { return reinterpret_cast<Header*>(words_); }
    static u32 words_for_attributes(std::size_t count) { return static_cast<u32>((count + 1) / 2); }

    template <class T>
    static void copy(u64* to, const std::vector<T>& from) {
        if (!from.empty()) std::memcpy(to, from.data(), from.size() * sizeof(T));
    }

    u64* words_;
};

}  // namespace rigel::matching
