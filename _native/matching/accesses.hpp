// By what a member is found in a scope: the access that lets the fewest events through.
//
// Owns the choice and what a posting says of its member. It changes nothing; estimates are those
// of the time when the member comes.
#pragma once

#include <algorithm>

#include "matching/buckets.hpp"
#include "matching/record.hpp"
#include "matching/selectivity.hpp"
#include "matching/strings.hpp"

namespace rigel::matching {

class Accesses {
  public:
    // A member is posted this many times at most under values of a list, and as often under
    // condition attributes: each costs a member.
    static constexpr u32 MAX_POSTINGS = 8;
    static constexpr u32 MAX_CHANGES = 4;
    // An access that lets more events through than this is none.
    static constexpr double WORTHLESS = 0.9;

    struct Choice {
        enum Kind { NOTHING, VALUE, VALUES, RANGE, CHANGED_RANGES, CHANGED_VALUE, CHANGES, PATH,
                    PLACES };
        Kind kind = NOTHING;
        double rate = WORTHLESS;
        u32 predicate = 0;

        void consider(Kind other, double other_rate, u32 other_predicate = 0) {
            if (other_rate < rate) *this = {other, other_rate, other_predicate};
        }
    };

    Accesses(const Arena& arena, const Strings& strings, const Pool<Member>& members,
             const Selectivity& selectivity)
        : arena_(arena), strings_(strings), members_(members), selectivity_(selectivity) {}

    // `changes` gets, for CHANGED_RANGES, the predicate of each condition attribute.
    Choice choose(u32 number, const Record& record, const Scope& scope, u32* changes) const {
        const Member& member = members_[number];
        Choice best;
        for (u32 i = 0; i < record.predicate_count(); ++i) {
            const Predicate& predicate = record.predicates()[i];
            if (predicate.is_negated() || is_met(predicate, record, &scope, nullptr)) continue;
            if (predicate.operation == EQUAL) {
                best.consider(Choice::VALUE, selectivity_.of_equality(predicate.path), i);
            } else if (predicate.operation == ONE_OF && predicate.high != 0 &&
                       predicate.high <= MAX_POSTINGS && has_few_postings(number)) {
                const double rate = selectivity_.of_equality(predicate.path);
                best.consider(Choice::VALUES, rate * static_cast<double>(predicate.high), i);
            } else if (is_access_range(predicate)) {
                best.consider(Choice::RANGE, selectivity_.of_range(predicate), i);
            }
        }
        if (record.box_count() != 0) best.consider(Choice::PLACES, rate_of_places(record));
        // A deletion triggers whatever the condition attributes are.
        const bool by_change = record.attribute_count() != 0 &&
                               record.attribute_count() <= MAX_CHANGES &&
                               !(member.trigger & DELETED) && !was_chosen_by_change(scope);
        if (by_change) {
            best.consider(Choice::CHANGED_RANGES, choose_changes(record, scope, changes));
            if (record.attribute_count() == 1) {
                for (u32 i = 0; i < record.predicate_count(); ++i) {
                    const Predicate& predicate = record.predicates()[i];
                    if (predicate.operation == EQUAL && !predicate.is_negated() &&
                        predicate.path == record.attributes()[0]) {
                        best.consider(
                            Choice::CHANGED_VALUE,
                            selectivity_.of_equality(predicate.path) * CHANGE_RATE, i);
                    }
                }
            }
            if (record.attribute_count() == 1 || has_few_postings(number)) {
                best.consider(Choice::CHANGES, record.attribute_count() * CHANGE_RATE);
            }
        }
        if (!scope.has_step(BY_SERVICE_PATH, 0) &&
            !strings_.text(text_of_service_path(member.service_path)).empty()) {
            // With one path for all there is nothing to gain, with some it is as good as a value.
            best.consider(Choice::PATH, 1 / (1.2 + scope.service_path_buckets));
        }
        return best;
    }

    // The member with the best range for a filter, other than predicate `posted_by`.
    Posting posting_of(u32 member, u32 posted_by, const Scope* scope, const Step* step) const {
        Posting posting{-INFINITE, INFINITE, -INFINITE, INFINITE, 0, member};
        const Record record(arena_, members_[member].record);
        double best = 2;
        for (u32 i = 0; i < record.predicate_count(); ++i) {
            const Predicate& predicate = record.predicates()[i];
            if (i == posted_by) continue;
            float lower, upper;
            double rate;
            if (is_access_range(predicate)) {
                lower = static_cast<float>(predicate.low_number());
                upper = static_cast<float>(predicate.high_number());
                rate = selectivity_.of_range(predicate);
            } else if (is_number_equality(predicate) &&
                       !is_met(predicate, record, scope, step)) {
                lower = upper = static_cast<float>(number_of(predicate.low));
                rate = selectivity_.of_equality(predicate.path);
            } else {
                continue;
            }
            if (rate < best) {
                best = rate;
                posting.path2 = predicate.path;
                posting.lower2 = lower;
                posting.upper2 = upper;
            }
        }
        return posting;
    }

    // The range by which a predicate can be posted among changes; false for none.
    static bool change_range(const Predicate& predicate, float& lower, float& upper) {
        if (is_access_range(predicate)) {
            lower = static_cast<float>(predicate.low_number());
            upper = static_cast<float>(predicate.high_number());
            return true;
        }
        if (is_number_equality(predicate)) {
            lower = upper = static_cast<float>(number_of(predicate.low));
            return true;
        }
        return false;
    }

  private:
    static bool is_met(const Step& step, const Predicate& predicate, const Record& record) {
        if (step.path != predicate.path ||
            (step.access != BY_VALUE && step.access != BY_CHANGED_VALUE)) {
            return false;
        }
        if (predicate.operation == EQUAL) return predicate.low == step.key;
        if (predicate.operation != ONE_OF) return false;
        const u64* keys = record.keys(predicate);
        return std::find(keys, keys + predicate.high, step.key) != keys + predicate.high;
    }

    // Whether the way into the scope (and bucket) already says that the predicate holds.
    static bool is_met(const Predicate& predicate, const Record& record, const Scope* scope,
                       const Step* step) {
        if (step != nullptr && is_met(*step, predicate, record)) return true;
        if (scope == nullptr) return false;
        for (const Step& other : scope->steps) {
            if (is_met(other, predicate, record)) return true;
        }
        return false;
    }

    static bool is_access_range(const Predicate& predicate) {
        return predicate.operation == NUMBER_RANGE && !predicate.is_negated() &&
               !predicate.is_empty_range();
    }

    static bool is_number_equality(const Predicate& predicate) {
        return predicate.operation == EQUAL && !predicate.is_negated() &&
               is_number_key(predicate.low);
    }

    double rate_of(const Predicate& predicate) const {
        return predicate.operation == EQUAL ? selectivity_.of_equality(predicate.path)
                                            : selectivity_.of_range(predicate);
    }

    // For each condition attribute the predicate on it that lets the least through; the sum of
    // the rates, or none if an attribute has no such predicate.
    double choose_changes(const Record& record, const Scope& scope, u32* chosen) const {
        double sum = 0;
        for (u32 a = 0; a < record.attribute_count(); ++a) {
            double best = 2;
            for (u32 i = 0; i < record.predicate_count(); ++i) {
                const Predicate& predicate = record.predicates()[i];
                float lower, upper;
                if (predicate.path != record.attributes()[a] ||
                    !change_range(predicate, lower, upper) ||
                    is_met(predicate, record, &scope, nullptr)) {
                    continue;
                }
                const double rate = rate_of(predicate);
                if (rate < best) {
                    best = rate;
                    chosen[a] = i;
                }
            }
            if (best == 2) return 1;
            sum += best * CHANGE_RATE;
        }
        return sum;
    }

    // Whether the subscription can have further members.
    bool has_few_postings(u32 number) const {
        u32 other = members_[number].ring;
        for (u32 i = 1; other != number; ++i, other = members_[other].ring) {
            if (i == MAX_POSTINGS) return false;
        }
        return true;
    }

    static bool was_chosen_by_change(const Scope& scope) {
        for (const Step& step : scope.steps) {
            if (step.access == BY_CHANGE || step.access == BY_CHANGED_VALUE) return true;
        }
        return false;
    }

    double rate_of_places(const Record& record) const {
        // Places gather where people are: a share of the inhabited parts, not of the earth.
        constexpr double SQUARE_DEGREES = 100;
        double sum = 0;
        for (u32 i = 0; i < record.box_count(); ++i) {
            const Box& box = record.boxes()[i];
            sum += static_cast<double>(box.east - box.west) * (box.north - box.south);
        }
        return std::clamp(sum / SQUARE_DEGREES, 1e-8, 1.0);
    }

    const Arena& arena_;
    const Strings& strings_;
    const Pool<Member>& members_;
    const Selectivity& selectivity_;
};

}  // namespace rigel::matching
