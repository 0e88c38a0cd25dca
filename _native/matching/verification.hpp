// The exact test of one member against one event, all but what it leaves to whoever asks.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "matching/buckets.hpp"
#include "matching/record.hpp"
#include "matching/strings.hpp"
#include "matching/values.hpp"

namespace rigel::matching {

// What an event has at each path. Made for one event, then wiped.
struct Facts {
    const Event* event = nullptr;
    std::vector<u32> first;  // by path: the first of its values plus 1, 0 for none
    std::vector<u8> sets;    // by path: NameSets that hold the attribute

    const Value* values_at(u32 path) const {
        return first[path] == 0 ? nullptr : &event->values[first[path] - 1];
    }
};

// What is known of a member after the test.
enum class Verdict : u8 { NO, UNSURE, YES };

class Verification {
  public:
    Verification(const Arena& arena, const Strings& strings) : arena_(arena), strings_(strings) {}

    Verdict judge(const Member& member, const Facts& facts) const {
        const Event& event = *facts.event;
        const u8 reach = event.reach[member.trigger];
        if (!is_covered(member.service_path, event)) return Verdict::NO;
        const Record record(arena_, member.record);
        if (member.flags & HAS_CONDITIONS) {
            if (!is_triggered(reach, record, facts) || !all_hold(record, facts)) {
                return Verdict::NO;
            }
        } else if (!(reach & (REACHES_ALWAYS | REACHES_EMPTY))) {
            return Verdict::NO;
        }
        const Verdict found = member.flags & TO_VERIFY ? Verdict::UNSURE : Verdict::YES;
        if (member.flags & HAS_AREA) {
            const Area::Kind kind = member.area();
            for (const Position& position : event.positions) {
                if (record.has(kind, position)) return found;
            }
            // The area says nothing of locations that are no points.
            if (!event.has_extents) return Verdict::NO;
            const bool is_reached = !(member.flags & HAS_BOXES) ||
                                    overlaps(record, event, event.positions.size());
            return is_reached ? Verdict::UNSURE : Verdict::NO;
        }
        return is_near(member, record, event) ? found : Verdict::NO;
    }

    // One that was found by its boxes and asks for nothing else needs no look at its record.
    void prefetch(const Member& member) const {
        if (!(member.flags & (HAS_CONDITIONS | HAS_AREA))) return;
        const Record record(arena_, member.record);
        record.prefetch();
        if (member.flags & HAS_AREA) record.prefetch_end(member.area());
    }

  private:
    static bool is_triggered(u8 reach, const Record& record, const Facts& facts) {
        if (reach & REACHES_ALWAYS) return true;
        const u32 count = record.attribute_count();
        if (count == 0) return reach & REACHES_EMPTY;
        const u8 looked_at = reach & (IN_UPDATE | VALUE_CHANGED | METADATA_CHANGED);
        const u32* attributes = record.attributes();
        for (u32 i = 0; i < count; ++i) {
            if (facts.sets[attributes[i]] & looked_at) return true;
        }
        return false;
    }

    static bool is_covered(u32 code, const Event& event) {
        for (const u32 scope : event.scopes) {
            if (scope == code) return true;
        }
        return false;
    }

    bool all_hold(const Record& record, const Facts& facts) const {
        const Predicate* predicates = record.predicates();
        const u32 count = record.predicate_count();
        for (u32 i = 0; i < count; ++i) {
            if (!holds(predicates[i], record, facts.values_at(predicates[i].path))) return false;
        }
        return true;
    }

    bool holds(const Predicate& predicate, const Record& record, const Value* value) const {
        if (predicate.operation == ABSENT) return value == nullptr;
        if (value == nullptr) return false;
        if (predicate.operation == EXISTS) return true;
        bool one_does = false;
        for (u32 i = 0; i < value->run && !one_does; ++i) {
            one_does = is_met_by(predicate, record, value[i]);
        }
        return one_does != predicate.is_negated();
    }

    bool is_met_by(const Predicate& predicate, const Record& record, const Value& value) const {
        switch (predicate.operation) {
            case EQUAL:
                return predicate.low == value.number_key || predicate.low == value.symbol_key;
            case ONE_OF: {
                const u64* keys = record.keys(predicate);
                return std::any_of(keys, keys + predicate.high, [&](u64 key) {
                    return key == value.number_key || key == value.symbol_key;
                });
            }
            case NUMBER_RANGE: {
                const double low = predicate.low_number(), high = predicate.high_number();
                const double number = value.number;
                return number >= low && number <= high &&
                       !((predicate.flags & OPEN_LOW) && number == low) &&
                       !((predicate.flags & OPEN_HIGH) && number == high);
            }
            case TEXT_RANGE:
                return is_within(predicate, value);
        }
        return false;
    }

    // UTF-8 orders as code points do.
    bool is_within(const Predicate& predicate, const Value& value) const {
        const TextKind wanted = predicate.flags & DATED ? TextKind::DATED : TextKind::PLAIN;
        if (value.kind != wanted) return false;
        const std::string_view text(value.text, value.length);
        if (predicate.low != 0) {
            const int order = text.compare(strings_.text(static_cast<u32>(predicate.low)));
            if (order < 0 || (order == 0 && (predicate.flags & OPEN_LOW))) return false;
        }
        if (predicate.high != 0) {
            const int order = text.compare(strings_.text(static_cast<u32>(predicate.high)));
            if (order > 0 || (order == 0 && (predicate.flags & OPEN_HIGH))) return false;
        }
        return true;
    }

    static bool is_near(const Member& member, const Record& record, const Event& event) {
        return !(member.flags & HAS_BOXES) || member.place == IN_PLACES ||
               overlaps(record, event, 0);
    }

    // Whether a box of the event, from the one numbered `first` on, reaches one of the record.
    static bool overlaps(const Record& record, const Event& event, std::size_t first) {
        for (std::size_t b = first; b < event.boxes.size(); ++b) {
            for (u32 i = 0; i < record.box_count(); ++i) {
                if (record.boxes()[i].overlaps(event.boxes[b])) return true;
            }
        }
        return false;
    }

    const Arena& arena_;
    const Strings& strings_;
};

}  // namespace rigel::matching
