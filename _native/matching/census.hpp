// The checks of the whole index, for tests: every member is where it says, nothing is lost.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "matching/index.hpp"

namespace rigel::matching {

inline void require(bool holds, const char* fault) {
    if (!holds) throw std::logic_error(fault);
}

inline void Placement::check() const {
    u64 tops = 0;
    tops_.for_each([&](u64 key, u32 number) {
        ++tops;
        const Bucket& bucket = buckets_[number];
        require(bucket.access == BY_SELECTOR && bucket.parent == NONE && bucket.key == key,
                "the table of selectors leads to another bucket");
    });
    require(tops == tops_.size(), "the table of selectors has miscounted");
    u32 living_scopes = 0, used_buckets = 0;
    for (u32 number = 0; number < buckets_.bound(); ++number) {
        const Bucket& bucket = buckets_[number];
        if (bucket.count == 0) continue;
        ++used_buckets;
        const u32* found =
            bucket.parent == NONE
                ? tops_.find(bucket.key)
                : scopes_[bucket.parent]->buckets.find(
                      Scope::bucket_key(bucket.access, bucket.path, bucket.key));
        require(found != nullptr && *found == number, "a bucket cannot be found");
        if (bucket.state == Bucket::CHAIN) {
            u32 length = 0;
            for (u32 m = bucket.head; m != NONE; m = members_[m].position) {
                ++length;
                require(members_[m].place == IN_CHAIN && members_[m].where == number,
                        "a member of a chain is elsewhere");
            }
            require(length == bucket.count && length <= CHAIN, "a chain has miscounted");
        } else if (bucket.state == Bucket::BLOCK) {
            require(bucket.block->count == bucket.count && bucket.count <= block_,
                    "a block has miscounted");
            for (u32 i = 0; i < bucket.count; ++i) {
                const Member& member = members_[bucket.block->member(i)];
                require(member.place == IN_BLOCK && member.where == number && member.position == i,
                        "a member of a block is elsewhere");
            }
        } else {
            ++living_scopes;
            require(scopes_[bucket.scope->number].get() == bucket.scope &&
                        bucket.scope->bucket == number && bucket.scope->count == bucket.count,
                    "a scope is not that of its bucket");
        }
    }
    require(used_buckets == buckets_.size(), "the buckets have miscounted");
    require(living_scopes + free_scopes_.size() == scopes_.size(), "a scope is lost");
    for (u32 number = 0; number < scopes_.size(); ++number) {
        if (scopes_[number] == nullptr) continue;
        const Scope& scope = *scopes_[number];
        u64 below = 0, buckets = 0;
        scope.buckets.for_each([&](u64, u32 bucket) {
            below += buckets_[bucket].count;
            ++buckets;
            require(buckets_[bucket].parent == number, "a bucket is in another scope");
        });
        require(buckets == u64{scope.value_buckets} + scope.change_buckets +
                               scope.service_path_buckets,
                "a scope has miscounted its buckets");
        u64 here = scope.remainder.count();
        for (u32 i = 0; i < scope.remainder.count(); ++i) {
            const Member& member = members_[scope.remainder.member_at(i)];
            require(member.place == IN_REMAINDER && member.where == number && member.position == i,
                    "a member of a remainder is elsewhere");
        }
        u64 changes = 0, strata_count = 0;
        for (u32 i = 0; i < scope.strata.size(); ++i) {
            const Strata& strata = *scope.strata[i];
            require(scope.find_strata(strata.path(), strata.triggered()) == &strata &&
                        strata.count() != 0,
                    "ranges cannot be found");
            strata.check();
            strata.for_each_stratum([&](const Stratum& stratum) {
                const auto& probes = scope.probes();
                require(std::any_of(probes.begin(), probes.end(),
                                    [&](const Scope::Probe& probe) {
                                        return probe.stratum == &stratum &&
                                               probe.only == stratum.only_block() &&
                                               probe.path == strata.path() &&
                                               probe.triggered == strata.triggered();
                                    }),
                        "a stratum is not looked at");
                ++strata_count;
            });
            if (!strata.triggered()) here += strata.count();
            strata.for_each([&](const Posting& posting) {
                const Member& member = members_[posting.member];
                require(member.where == number &&
                            member.place == (strata.triggered() ? IN_CHANGES : IN_RANGES),
                        "a member with a range is elsewhere");
                changes += strata.triggered();
            });
        }
        u64 boxes = 0, posted_changes = 0;
        for (u32 m = 0; m < members_.bound(); ++m) {
            const Member& member = members_[m];
            if (member.place == NOWHERE || member.where != number) continue;
            const Record record(arena_, member.record);
            if (member.place == IN_PLACES) {
                boxes += record.box_count();
                ++here;
            } else if (member.place == IN_CHANGES) {
                posted_changes += record.attribute_count();
                ++here;
            }
        }
        require(strata_count == scope.probes().size(), "a stratum that is gone is looked at");
        require(changes == posted_changes, "a scope has miscounted its changes");
        require(boxes == (scope.places == nullptr ? 0 : scope.places->size()),
                "a scope has miscounted its places");
        if (scope.places != nullptr) {
            const std::string fault = scope.places->check();
            if (!fault.empty()) throw std::logic_error(fault);
        }
        require(here + below == scope.count, "a scope has miscounted its members");
    }
}

inline void Index::check() const {
    placement_.check();
    u64 members = 0, subscriptions = 0, places = 0, values = 0;
    std::unordered_map<u32, u32> texts;  // the references that there should be
    std::unordered_map<u32, PathUses> uses;
    for (u32 number = 0; number < members_.bound(); ++number) {
        const Member& member = members_[number];
        if (member.place == NOWHERE) continue;
        ++members;
        require(members_[member.ring].handle == member.handle &&
                    members_[member.ring].record == member.record,
                "a ring leads to another subscription");
        if (slot_of(member.handle) != number) continue;
        ++subscriptions;
        const Record record(arena_, member.record);
        places += member.flags & (HAS_BOXES | HAS_AREA) ? 1 : 0;
        ++texts[text_of_service_path(member.service_path)];
        for (u32 i = 0; i < record.attribute_count(); ++i) ++uses[record.attributes()[i]].names;
        for (u32 i = 0; i < record.predicate_count(); ++i) {
            const Predicate& predicate = record.predicates()[i];
            ++values;
            ++uses[predicate.path].values;
            if (predicate.operation == EQUAL && is_text_key(predicate.low)) {
                ++texts[text_of_key(predicate.low)];
            } else if (predicate.operation == ONE_OF) {
                for (u64 k = 0; k < predicate.high; ++k) {
                    const u64 key = record.keys(predicate)[k];
                    if (is_text_key(key)) ++texts[text_of_key(key)];
                }
            } else if (predicate.operation == TEXT_RANGE) {
                if (predicate.low != 0) ++texts[static_cast<u32>(predicate.low)];
                if (predicate.high != 0) ++texts[static_cast<u32>(predicate.high)];
            }
        }
    }
    require(members == members_.size(), "a member is lost");
    require(subscriptions == size_ && places == places_ && values == value_uses_,
            "the index has miscounted");
    placement_.for_each_selector([&](const Selector& selector) {
        if (selector.id.kind() == Term::TEXT) ++texts[selector.id.number()];
        if (selector.type.kind() == Term::TEXT) ++texts[selector.type.number()];
    });
    require(texts.size() == strings_.size(), "a text is lost");
    for (const auto& [text, references] : texts) {
        require(strings_.references(text) == references &&
                    strings_.find(strings_.text(text)) == text,
                "the references to a text are miscounted");
    }
    require(uses.size() == paths_.size(), "a path is lost");
    for (const auto& [path, expected] : uses) {
        const PathUses& kept = paths_[path - 1];
        require(kept.is_taken && kept.values == expected.values && kept.names == expected.names,
                "the uses of a path are miscounted");
    }
}

}  // namespace rigel::matching
