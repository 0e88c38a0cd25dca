// Finds the subscriptions that an event triggers: walks to the members that it may, verifies them.
//
// Owns the working memory of one search at a time. Cache misses are most of the cost, so the walk
// asks for memory some steps before it is read.
#pragma once

#include <algorithm>
#include <vector>

#include "matching/placement.hpp"
#include "matching/verification.hpp"

namespace rigel::matching {

// Handles, oldest first and each once.
struct Found {
    std::vector<u64> sure;
    std::vector<u64> unsure;  // to be tested exactly
};

class Search {
  public:
    Search(const Placement& placement, const Pool<Member>& members, Selectivity& selectivity,
           const Arena& arena, const Strings& strings)
        : placement_(placement),
          members_(members),
          selectivity_(selectivity),
          verification_(arena, strings) {}

    const Found& match(const Event& event) {
        begin(event);
        if (event.has_lists) {
            collect<true>(event);
        } else {
            collect<false>(event);
        }
        verify();
        if (++events_ % EVENTS_PER_SAMPLE == 0) sample(event);
        end(event);
        return found_;
    }

    std::size_t memory_bytes() const {
        return sizeof *this + low_.capacity() * (2 * sizeof(float) + sizeof(u32) + sizeof(u8));
    }

  private:
    static constexpr u64 EVENTS_PER_SAMPLE = 64;  // whose numbers the estimates get to know
    // Paths of a scope for each value of the event up to which all are looked at one after the
    // other, instead of by path.
    static constexpr std::size_t STRATA_PER_VALUE = 4;
    static constexpr u32 TOGETHER = 16;  // candidates whose memory is asked for at once

    // --- What the event has, by path

    void begin(const Event& event) {
        const u32 bound = std::max(1u, selectivity_.bound());
        if (low_.size() < bound) {
            low_.resize(bound, NOT_A_NUMBER);
            high_.resize(bound, NOT_A_NUMBER);
            facts_.first.resize(bound, 0);
            facts_.sets.resize(bound, 0);
            low_[0] = high_[0] = 0;  // the path of those without a second range
        }
        facts_.event = &event;
        const auto count = static_cast<u32>(event.values.size());
        for (u32 i = 0; i < count; i += std::max(1u, event.values[i].run)) {
            const Value* value = &event.values[i];
            facts_.first[value->path] = i + 1;
            auto least = static_cast<float>(value->number);
            float greatest = least;
            for (u32 k = 1; k < value->run; ++k) {
                least = std::fmin(least, static_cast<float>(value[k].number));
                greatest = std::fmax(greatest, static_cast<float>(value[k].number));
            }
            low_[value->path] = least;
            high_[value->path] = greatest;
        }
        changed_.clear();
        for (const Named& named : event.names) {
            if (facts_.sets[named.path] == 0) changed_.push_back(named.path);
            facts_.sets[named.path] |= named.sets;
        }
        candidates_.clear();
        found_.sure.clear();
        found_.unsure.clear();
    }

    void end(const Event& event) {
        for (const Value& value : event.values) {
            low_[value.path] = high_[value.path] = NOT_A_NUMBER;
            facts_.first[value.path] = 0;
        }
        for (const u32 path : changed_) facts_.sets[path] = 0;
    }

    void sample(const Event& event) {
        for (const Value& value : event.values) {
            if (value.number == value.number) {
                selectivity_[value.path].sample(static_cast<float>(value.number));
            }
        }
    }

    // --- The walk

    template <bool LISTS>
    void collect(const Event& event) {
        const u32 begin = static_cast<u32>(pending_.size());
        find_by_id<LISTS>(event, Term(Term::ANY, 0));
        if (event.type != 0) find_by_id<LISTS>(event, Term(Term::TEXT, event.type));
        for (const u32 pattern : event.type_patterns) {
            find_by_id<LISTS>(event, Term(Term::PATTERN, pattern));
        }
        match_pending<LISTS>(event, begin);
    }

    template <bool LISTS>
    void find_by_id(const Event& event, Term type) {
        if (event.id != 0 && placement_.tops_of(Term::TEXT, type.kind()) != 0) {
            find_top({Term(Term::TEXT, event.id), type});
        }
        if (placement_.tops_of(Term::PATTERN, type.kind()) != 0) {
            for (const u32 pattern : event.id_patterns) {
                find_top({Term(Term::PATTERN, pattern), type});
            }
        }
        if (placement_.tops_of(Term::ANY, type.kind()) != 0) {
            find_top({Term(Term::ANY, 0), type});
        }
    }

    void find_top(const Selector& selector) {
        if (const u32* bucket = placement_.find_top(selector.key())) add_pending(*bucket);
    }

    void add_pending(u32 bucket) {
        placement_.prefetch_bucket(bucket);
        pending_.push_back(bucket);
    }

    // Goes into the buckets from `begin` on, and takes them off.
    template <bool LISTS>
    void match_pending(const Event& event, u32 begin) {
        const auto end = static_cast<u32>(pending_.size());
        for (u32 i = begin; i < end; ++i) {
            const Bucket& bucket = placement_.bucket(pending_[i]);
            if (bucket.state == Bucket::BLOCK) {
                __builtin_prefetch(bucket.block);
            } else if (bucket.state == Bucket::CHAIN) {
                members_.prefetch(bucket.head);
            } else {
                const auto* scope = reinterpret_cast<const char*>(bucket.scope);
                for (u32 line = 0; line < 3; ++line) __builtin_prefetch(scope + 64 * line);
            }
        }
        for (u32 i = begin; i < end; ++i) {
            const Bucket& bucket = placement_.bucket(pending_[i]);
            if (bucket.state == Bucket::BLOCK) bucket.block->prefetch(0, bucket.block->count);
        }
        for (u32 i = begin; i < end; ++i) {
            const Bucket& bucket = placement_.bucket(pending_[i]);
            if (bucket.state == Bucket::CHAIN) {
                for (u32 m = bucket.head; m != NONE; m = members_[m].position) candidates_.add(m);
            } else if (bucket.state == Bucket::BLOCK) {
                bucket.block->scan_all<LISTS>(numbers(), candidates_);
            } else {
                match_scope<LISTS>(*bucket.scope, event);
            }
        }
        pending_.resize(begin);
    }

    Numbers numbers() const { return {low_.data(), high_.data()}; }

    template <bool LISTS>
    void match_scope(const Scope& scope, const Event& event) {
        scope.remainder.scan<LISTS>(numbers(), candidates_);
        if (!scope.strata.empty()) match_ranges<LISTS>(scope, event);
        if (scope.places != nullptr) {
            for (const Box& box : event.boxes) {
                scope.places->search(box, [&](u32 member) { candidates_.add(member); });
            }
        }
        if (scope.buckets.size() == 0) return;
        const auto begin = static_cast<u32>(pending_.size());
        keys_.clear();
        if (scope.value_buckets != 0) add_value_keys(event);
        if (scope.change_buckets != 0 && !event.is_deletion) {
            for (const u32 path : changed_) {
                keys_.push_back(Scope::bucket_key(BY_CHANGE, path, 0));
            }
        }
        if (scope.service_path_buckets != 0) {
            for (const u32 code : event.scopes) {
                keys_.push_back(Scope::bucket_key(BY_SERVICE_PATH, 0, code));
            }
        }
        for (const u64 key : keys_) scope.buckets.prefetch(key);
        for (const u64 key : keys_) {
            if (const u32* bucket = scope.buckets.find(key)) add_pending(*bucket);
        }
        match_pending<LISTS>(event, begin);
    }

    void add_value_keys(const Event& event) {
        for (const Value& value : event.values) {
            const PathStatistics& known = selectivity_[value.path];
            if (known.equalities != 0) add_keys(BY_VALUE, value);
            if (known.triggered_equalities != 0 && facts_.sets[value.path] != 0) {
                add_keys(BY_CHANGED_VALUE, value);
            }
        }
    }

    void add_keys(Access access, const Value& value) {
        if (value.run == 0) return;
        if (value.number_key != NO_KEY) {
            keys_.push_back(Scope::bucket_key(access, value.path, value.number_key));
        }
        if (value.symbol_key != NO_KEY) {
            keys_.push_back(Scope::bucket_key(access, value.path, value.symbol_key));
        }
    }

    template <bool LISTS>
    void match_ranges(const Scope& scope, const Event& event) {
        stabs_.clear();
        if (!LISTS && scope.strata.size() <= STRATA_PER_VALUE * event.values.size()) {
            for (const Scope::Probe& probe : scope.probes()) {
                const float x = low_[probe.path];
                if (x != x || (probe.triggered && facts_.sets[probe.path] == 0)) continue;
                stabs_.push_back(
                    Stratum::make_stab(probe.stratum, probe.kind, probe.only, x));
            }
        } else {
            for (const Value& value : event.values) {
                const auto x = static_cast<float>(value.number);
                if (x != x) continue;
                add_stabs(scope.find_strata(value.path, false), x);
                if (facts_.sets[value.path] != 0) {
                    add_stabs(scope.find_strata(value.path, true), x);
                }
            }
        }
        for (Stratum::Stab& stab : stabs_) Stratum::begin_stab(stab);
        for (Stratum::Stab& stab : stabs_) Stratum::find_blocks(stab);
        for (Stratum::Stab& stab : stabs_) Stratum::find_ranges(stab);
        for (const Stratum::Stab& stab : stabs_) {
            Stratum::scan<LISTS>(stab, numbers(), candidates_, hits_);
        }
        for (const Hit& hit : hits_) Block::resolve(hit, candidates_);
        hits_.clear();
    }

    void add_stabs(const Strata* strata, float x) {
        if (strata == nullptr) return;
        strata->for_each_stratum([&](const Stratum& stratum) {
            stabs_.push_back(
                Stratum::make_stab(&stratum, stratum.kind(), stratum.only_block(), x));
        });
    }

    // --- The exact test

    void verify() {
        const u32 count = candidates_.size();
        fetch_members(0);
        for (u32 begin = 0; begin < count; begin += TOGETHER) {
            const u32 end = std::min(count, begin + TOGETHER);
            fetch_members(end);
            for (u32 i = begin; i < end; ++i) {
                verification_.prefetch(members_[candidates_[i]]);
            }
            for (u32 i = begin; i < end; ++i) {
                const Member& member = members_[candidates_[i]];
                const Verdict verdict = verification_.judge(member, facts_);
                if (verdict == Verdict::NO) continue;
                (verdict == Verdict::YES ? found_.sure : found_.unsure).push_back(member.handle);
            }
        }
        sort_once(found_.sure);
        sort_once(found_.unsure);
    }

    void fetch_members(u32 begin) {
        const u32 end = std::min(candidates_.size(), begin + TOGETHER);
        for (u32 i = begin; i < end; ++i) members_.prefetch(candidates_[i]);
    }

    // A subscription can be found by several members, or one by several values of a list.
    static void sort_once(std::vector<u64>& handles) {
        if (handles.size() < 2) return;
        std::sort(handles.begin(), handles.end());
        handles.erase(std::unique(handles.begin(), handles.end()), handles.end());
    }

    const Placement& placement_;
    const Pool<Member>& members_;
    Selectivity& selectivity_;
    Verification verification_;
    std::vector<float> low_, high_;  // as Numbers
    Facts facts_;
    std::vector<u32> changed_;  // paths of attributes that the event names
    Candidates candidates_;
    std::vector<u32> pending_;  // buckets, as a stack
    std::vector<u64> keys_;
    std::vector<Stratum::Stab> stabs_;
    std::vector<Hit> hits_;
    Found found_;
    u64 events_ = 0;
};

}  // namespace rigel::matching
