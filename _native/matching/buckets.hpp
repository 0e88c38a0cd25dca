// Where members stand: buckets of those that have so much in common, scopes within large ones.
//
// A bucket is a chain of a few members, then a flat block, then a scope. In a scope each member
// is posted under one thing that an event must have for it: an equal value, a number in a range,
// a place, a changed attribute, a service path; what has none is in the remainder. Under an equal
// value, changed attribute or service path stands a bucket again.
#pragma once

#include <memory>
#include <vector>

#include "geoscope/rtree.hpp"
#include "matching/hash_table.hpp"
#include "matching/memory.hpp"
#include "matching/postings.hpp"
#include "matching/strata.hpp"

namespace rigel::matching {

// Where a member stands, and so what `where` and `position` mean.
enum Place : u8 {
    NOWHERE,
    IN_CHAIN,      // bucket; the next member of the chain
    IN_BLOCK,      // bucket; place in its block
    IN_REMAINDER,  // scope; place in the remainder
    IN_RANGES,     // scope; the predicate it is posted by
    IN_CHANGES,    // scope; posted by the range of each of its condition attributes
    IN_PLACES,     // scope; posted by each of its boxes
};

enum MemberFlags : u8 {
    TO_VERIFY = 1,  // what is found has to be tested exactly by whoever asks
    HAS_BOXES = 2,
    HAS_CONDITIONS = 4,  // attributes or predicates
    HAS_CIRCLE = 8,
    HAS_REGION = 16,
};
inline constexpr u8 HAS_AREA = HAS_CIRCLE | HAS_REGION;

// One selector of a subscription, or one of several postings of it. 32 bytes.
struct Member {
    u64 handle;
    u32 record;
    u32 ring;  // the next member of the subscription; itself if there is no other
    u32 where;
    u32 position;
    u32 service_path;  // code
    u8 trigger;
    u8 place;
    u8 flags;
    u8 spare;

    Area::Kind area() const {
        return flags & HAS_CIRCLE ? Area::CIRCLE : flags & HAS_REGION ? Area::REGION : Area::ANYWHERE;
    }
    u32& free_link() { return ring; }
};
static_assert(sizeof(Member) == 32);

// What a bucket's members have in common beyond its scope's.
enum Access : u8 { BY_SELECTOR, BY_VALUE, BY_CHANGED_VALUE, BY_CHANGE, BY_SERVICE_PATH };

class Scope;

struct Bucket {
    enum State : u8 { CHAIN, BLOCK, SCOPE };

    u64 key;  // in the table that leads here
    union {
        u32 head;  // CHAIN
        Block* block;
        Scope* scope;
        u32 next_free;
    };
    u32 count;   // members here and below
    u32 parent;  // scope, NONE for the buckets of selectors
    u32 path;    // of BY_VALUE, BY_CHANGED_VALUE, BY_CHANGE
    State state;
    Access access;

    u32& free_link() { return next_free; }
};
static_assert(sizeof(Bucket) <= 40);

// A step on the way to a scope: what all in it have.
struct Step {
    Access access;
    u32 path;
    u64 key;  // the value, or the code of the service path
};

// Members without access: blocks of which all but the last are full.
class Remainder {
  public:
    explicit Remainder(Arena& arena) : arena_(arena) {}
    Remainder(const Remainder&) = delete;
    Remainder& operator=(const Remainder&) = delete;
    ~Remainder() {
        for (Block* block : blocks_) Block::release(arena_, block);
    }

    u32 count() const { return count_; }

    u32 append(const Posting& posting) {
        if (count_ == blocks_.size() * BLOCK) {
            blocks_.push_back(Block::make(arena_, blocks_.empty() ? 8 : BLOCK, false));
        }
        Block*& last = blocks_[count_ / BLOCK];
        if (last->is_full()) {  // smaller than the others will be
            Block* larger = last->copy(arena_, 0, last->count, std::min(BLOCK, last->count * 2));
            Block::release(arena_, last);
            last = larger;
        }
        last->append(posting);
        return count_++;
    }

    u32 member_at(u32 i) const { return blocks_[i / BLOCK]->member(i % BLOCK); }

    // The last one takes the place; returns it, NONE if it was the one.
    u32 erase(u32 i) {
        --count_;
        Block* last = blocks_[count_ / BLOCK];
        const Posting moved = last->get(count_ % BLOCK);
        if (i != count_) blocks_[i / BLOCK]->replace(i % BLOCK, moved);
        last->drop_last();
        if (last->count == 0) {
            Block::release(arena_, last);
            blocks_.pop_back();
        }
        return i != count_ ? moved.member : NONE;
    }

    template <bool LISTS>
    void scan(const Numbers& numbers, Candidates& found) const {
        for (Block* block : blocks_) {
            block->scan_all<LISTS>(numbers, found);
        }
    }

    std::size_t memory_bytes() const {
        return blocks_.capacity() * sizeof(Block*);  // the blocks are the arena's
    }

  private:
    static constexpr u32 BLOCK = 256;

    Arena& arena_;
    std::vector<Block*> blocks_;
    u32 count_ = 0;
};

class alignas(64) Scope {
  public:
    Scope(Arena& arena, u64 seed, u32 scope_number)
        : remainder(arena),
          buckets(arena, seed),
          number(scope_number),
          arena_(arena),
          strata_numbers_(arena, seed) {}

    // A stratum and when it is looked at, so that a walk over all of them reads no more than it
    // has to.
    struct Probe {
        const Stratum* stratum;
        Block* only;  // as of Stratum::only_block
        u32 path;
        Stratum::Kind kind;
        bool triggered;
    };

    // What every event looks at comes first.

    std::vector<std::unique_ptr<Strata>> strata;

    // All strata. Made anew when they have changed.
    const std::vector<Probe>& probes() const {
        if (is_stale_) list_probes();
        return probes_;
    }

  private:
    mutable std::vector<Probe> probes_;
    mutable bool is_stale_ = false;

  public:
    // Buckets by kind of access, so that an event does not ask for what is not there.
    u32 value_buckets = 0;
    u32 change_buckets = 0;
    u32 service_path_buckets = 0;
    std::unique_ptr<geoscope::RTree> places;
    Remainder remainder;
    HashTable buckets;  // by bucket_key

    std::vector<Step> steps;  // from the selectors to here
    u32 number;               // of this scope
    u32 bucket = NONE;        // whose scope it is
    u32 count = 0;            // members posted here and below

    static u64 strata_key(u32 path, bool triggered) { return u64{path} << 1 | triggered; }
    static u64 bucket_key(Access access, u32 path, u64 key) {
        return combine(u64{access} << 32 | path, key);
    }

    Strata* find_strata(u32 path, bool triggered) const {
        const u32* number = strata_numbers_.find(strata_key(path, triggered));
        return number == nullptr ? nullptr : strata[*number].get();
    }

    Strata& strata_for(u32 path, bool triggered) {
        if (Strata* known = find_strata(path, triggered)) return *known;
        strata.reserve(strata.size() + 1);
        auto added = std::make_unique<Strata>(arena_, path, triggered);
        strata_numbers_.insert(strata_key(path, triggered), static_cast<u32>(strata.size()));
        strata.push_back(std::move(added));
        return *strata.back();
    }

    void insert_range(Strata& ranges, const Posting& posting, double span) {
        const u32 version = ranges.version();
        ranges.insert(posting, span);
        if (ranges.version() != version) is_stale_ = true;
    }

    bool erase_range(Strata& ranges, float lower, float upper, u32 member) {
        const u32 version = ranges.version();
        const bool found = ranges.erase(lower, upper, member);
        if (ranges.version() != version || ranges.count() == 0) is_stale_ = true;
        drop_if_empty(ranges);
        return found;
    }

    u32& buckets_of(Access access) {
        if (access == BY_CHANGE) return change_buckets;
        return access == BY_SERVICE_PATH ? service_path_buckets : value_buckets;
    }

    bool has_step(Access access, u32 path) const {
        for (const Step& step : steps) {
            if (step.access == access && step.path == path) return true;
        }
        return false;
    }

    std::size_t memory_bytes() const {
        std::size_t bytes = sizeof *this + steps.capacity() * sizeof(Step) +
                            strata.capacity() * sizeof(void*) + strata_numbers_.memory_bytes() +
                            buckets.memory_bytes() + remainder.memory_bytes();
        for (const auto& ranges : strata) bytes += ranges->memory_bytes();
        if (places != nullptr) bytes += places->memory_bytes();
        return bytes + probes_.capacity() * sizeof(Probe);
    }

  private:
    void list_probes() const {
        probes_.clear();
        for (const auto& ranges : strata) {
            ranges->for_each_stratum([&](const Stratum& stratum) {
                probes_.push_back({&stratum, stratum.only_block(), ranges->path(), stratum.kind(),
                                   ranges->triggered()});
            });
        }
        is_stale_ = false;
    }

    void drop_if_empty(Strata& emptied) {
        if (emptied.count() != 0) return;
        const u64 key = strata_key(emptied.path(), emptied.triggered());
        const u32 number = *strata_numbers_.find(key);
        strata_numbers_.erase(key);
        if (number + 1 != strata.size()) {
            Strata& last = *strata.back();
            *strata_numbers_.find(strata_key(last.path(), last.triggered())) = number;
            std::swap(strata[number], strata.back());
        }
        strata.pop_back();
    }

    Arena& arena_;
    HashTable strata_numbers_;  // by strata_key
};

}  // namespace rigel::matching
