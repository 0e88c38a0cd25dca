// The subscription index: adds, removes, matches. The door to all else in this folder.
//
// For one thread at a time. A handle is never given twice: it holds the number of the
// subscription's first member and how many subscriptions came before, so that handles order
// subscriptions by age.
#pragma once

#include <stdexcept>
#include <vector>

#include "matching/instants.hpp"
#include "matching/placement.hpp"
#include "matching/search.hpp"

namespace rigel::matching {

// How many predicates and condition attributes refer to a path.
struct PathUses {
    u32 values;
    u32 names;
    u32 is_taken;
    u32 next_free;

    u32& free_link() { return next_free; }
};

// A subscription before it is added. Its texts and paths have their references.
struct Draft {
    std::vector<Selector> selectors;
    Content content;
    u32 service_path = 0;
    u8 trigger = 0;
    bool to_verify = false;

    void clear() {
        selectors.clear();
        content.clear();
        service_path = 0;
        trigger = 0;
        to_verify = false;
    }
};

class Index {
  public:
    static constexpr u32 MEMBER_BITS = 27;
    static constexpr u64 MAX_MEMBERS = u64{1} << MEMBER_BITS;

    explicit Index(u32 block) : Index(block, random_seed()) {}

    std::size_t size() const { return size_; }
    u64 changes() const { return changes_; }
    Strings& strings() { return strings_; }

    // --- Paths

    u32 take_path() {
        const u32 path = paths_.take() + 1;  // 0 stands for none
        paths_[path - 1].is_taken = 1;
        selectivity_.add_path(path);
        return path;
    }
    // A use more; the first ones of a path come right after it was taken.
    void use_value(u32 path) {
        ++paths_[path - 1].values;
        ++value_uses_;
    }
    void use_name(u32 path) { ++paths_[path - 1].names; }
    bool is_value_used(u32 path) const { return paths_[path - 1].values != 0; }
    u64 value_uses() const { return value_uses_; }
    u64 place_count() const { return places_; }
    // Paths without uses; whoever took them has to forget them and clear this.
    std::vector<u32>& released_paths() { return released_paths_; }

    // --- Changes

    // Stores the draft and takes over its references. Throws std::invalid_argument or
    // std::bad_alloc with nothing changed; the references are the caller's then.
    u64 add(const Draft& draft) {
        if (draft.selectors.empty()) throw std::invalid_argument("a subscription needs a selector");
        if (!Record::has_room_for(draft.content)) throw std::invalid_argument("too many conditions");
        if (members_.bound() + draft.selectors.size() > MAX_MEMBERS) throw std::bad_alloc();
        const u32 record = Record::store(arena_, draft.content);
        for (const Predicate& predicate : draft.content.predicates) {
            selectivity_.learn(predicate, draft.content.keys.data());
        }
        u8 flags = draft.to_verify ? TO_VERIFY : 0;
        if (!draft.content.boxes.empty()) flags |= HAS_BOXES;
        if (draft.content.area.kind == Area::CIRCLE) flags |= HAS_CIRCLE;
        if (draft.content.area.kind == Area::REGION) flags |= HAS_REGION;
        if (!draft.content.attributes.empty() || !draft.content.predicates.empty()) {
            flags |= HAS_CONDITIONS;
        }
        u32 first = NONE;
        u64 handle = 0;
        for (const Selector& selector : draft.selectors) {
            const u32 number = members_.take();
            if (first == NONE) {
                first = number;
                handle = next_sequence_++ << MEMBER_BITS | number;
            }
            Member& member = members_[number];
            member.handle = handle;
            member.record = record;
            member.service_path = draft.service_path;
            member.trigger = draft.trigger;
            member.flags = flags;
            member.ring = number;
            if (number != first) {
                member.ring = members_[first].ring;
                members_[first].ring = number;
            }
            placement_.post(selector, number);
        }
        for (const Selector& selector : draft.selectors) selector.release(strings_);
        if (flags & (HAS_BOXES | HAS_AREA)) ++places_;
        ++size_;
        ++changes_;
        return handle;
    }

    // Gives back the references of a draft that is not added.
    void release(const Draft& draft) {
        for (const Selector& selector : draft.selectors) selector.release(strings_);
        for (const u32 path : draft.content.attributes) release_name(path);
        for (const Predicate& predicate : draft.content.predicates) {
            release_predicate(predicate, draft.content.keys.data());
        }
        if (draft.service_path != 0) strings_.release(text_of_service_path(draft.service_path));
    }

    void release_key(u64 key) {
        if (is_text_key(key)) strings_.release(text_of_key(key));
    }

    bool has(u64 handle) const {
        const u64 number = handle & (MAX_MEMBERS - 1);
        return number < members_.bound() && members_[static_cast<u32>(number)].place != NOWHERE &&
               members_[static_cast<u32>(number)].handle == handle;
    }

    // The number of a subscription that is in, below any other use of it: for tables beside.
    static u32 slot_of(u64 handle) { return static_cast<u32>(handle & (MAX_MEMBERS - 1)); }

    bool remove(u64 handle) {
        if (!has(handle)) return false;
        const u32 first = slot_of(handle);
        const Member subscription = members_[first];
        for (u32 number = first;;) {
            const u32 next = members_[number].ring;
            placement_.unpost(number);
            members_.give_back(number);
            if (next == first) break;
            number = next;
        }
        const Record record(arena_, subscription.record);
        for (u32 i = 0; i < record.attribute_count(); ++i) release_name(record.attributes()[i]);
        for (u32 i = 0; i < record.predicate_count(); ++i) {
            const Predicate& predicate = record.predicates()[i];
            release_predicate(predicate, record.begin());
        }
        strings_.release(text_of_service_path(subscription.service_path));
        arena_.give_back(subscription.record, record.words());
        if (subscription.flags & (HAS_BOXES | HAS_AREA)) --places_;
        --size_;
        ++changes_;
        return true;
    }

    // --- Matching

    const Found& match(const Event& event) { return search_.match(event); }

    // Throws std::logic_error if something is wrong. Visits everything.
    void check() const;

    // Bytes in use, and what waits in the arena for records of its size.
    std::size_t memory_bytes() const {
        return sizeof *this + arena_.memory_bytes() + blocks_.memory_bytes() + strings_.memory_bytes() +
               members_.memory_bytes() + selectivity_.memory_bytes() + paths_.memory_bytes() +
               placement_.memory_bytes() + search_.memory_bytes();
    }

  private:
    Index(u32 block, u64 seed)
        : strings_(arena_, blocks_, seed),
          placement_(arena_, blocks_, strings_, members_, selectivity_, seed, block),
          search_(placement_, members_, selectivity_, arena_, strings_) {}

    void release_path(u32 path) {
        const PathUses& uses = paths_[path - 1];
        if (uses.values != 0 || uses.names != 0) return;
        selectivity_.forget(path);
        paths_.give_back(path - 1);
        released_paths_.push_back(path);
    }
    void release_name(u32 path) {
        --paths_[path - 1].names;
        release_path(path);
    }
    // `keys`: what `low` of a ONE_OF counts from.
    void release_predicate(const Predicate& predicate, const u64* keys) {
        if (predicate.operation == EQUAL) {
            release_key(predicate.low);
        } else if (predicate.operation == ONE_OF) {
            for (u64 i = 0; i < predicate.high; ++i) release_key(keys[predicate.low + i]);
        } else if (predicate.operation == TEXT_RANGE) {
            if (predicate.low != 0) strings_.release(static_cast<u32>(predicate.low));
            if (predicate.high != 0) strings_.release(static_cast<u32>(predicate.high));
        }
        --paths_[predicate.path - 1].values;
        --value_uses_;
        release_path(predicate.path);
    }
    static constexpr u32 LINE_WORDS = 8;  // blocks begin with a line of the cache

    Arena arena_;
    Arena blocks_{LINE_WORDS};
    Strings strings_;
    Pool<Member> members_;
    Selectivity selectivity_;
    Pool<PathUses> paths_;
    Placement placement_;
    Search search_;
    std::vector<u32> released_paths_;
    u64 next_sequence_ = 0;
    u64 value_uses_ = 0;
    u64 places_ = 0;
    u64 changes_ = 0;
    std::size_t size_ = 0;
};

}  // namespace rigel::matching

#include "matching/census.hpp"
