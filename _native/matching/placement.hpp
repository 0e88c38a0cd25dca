// Posts members where events find them, and takes them away again.
//
// Owns the buckets and scopes. Each member is posted under the access that Accesses chooses when
// it comes; the choice is not revisited.
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "matching/accesses.hpp"
#include "matching/buckets.hpp"
#include "matching/record.hpp"
#include "matching/selectivity.hpp"
#include "matching/selectors.hpp"
#include "matching/strings.hpp"

namespace rigel::matching {

class Placement {
  public:
    // Members of a chain: each is a cache miss, a block is two and 150 bytes.
    static constexpr u32 CHAIN = 4;

    // `arena` has the records, `blocks` gets blocks and tables.
    Placement(const Arena& arena, Arena& blocks, Strings& strings, Pool<Member>& members, Selectivity& selectivity,
              u64 seed, u32 block)
        : arena_(arena),
          blocks_(blocks),
          strings_(strings),
          members_(members),
          selectivity_(selectivity),
          accesses_(arena, strings, members, selectivity),
          seed_(seed),
          block_(block),
          tops_(blocks, seed) {}

    // --- For searches

    const u32* find_top(u64 selector_key) const { return tops_.find(selector_key); }
    void prefetch_top(u64 selector_key) const { tops_.prefetch(selector_key); }
    const Bucket& bucket(u32 number) const { return buckets_[number]; }
    void prefetch_bucket(u32 number) const { buckets_.prefetch(number); }
    // How many buckets there are of selectors with these kinds.
    u32 tops_of(Term::Kind id, Term::Kind type) const { return tops_by_kind_[id][type]; }

    template <class Visit>
    void for_each_selector(Visit&& visit) const {
        tops_.for_each([&](u64 key, u32) { visit(Selector::from_key(key)); });
    }

    // --- Changes

    void post(const Selector& selector, u32 member) {
        const u32* known = tops_.find(selector.key());
        add_to_bucket(known == nullptr ? make_top(selector) : *known, member);
    }

    void unpost(u32 number) {
        const Member member = members_[number];
        u32 bucket = NONE;
        switch (member.place) {
            case IN_CHAIN:
                bucket = member.where;
                unchain(bucket, number);
                break;
            case IN_BLOCK:
                bucket = member.where;
                erase_from_block(buckets_[bucket], member.position);
                break;
            default:
                bucket = scopes_[member.where]->bucket;
                unpost_from_scope(*scopes_[member.where], number, member);
        }
        members_[number].place = NOWHERE;
        count_down(bucket);
    }

    // Throws std::logic_error if something is wrong.
    void check() const;

    std::size_t memory_bytes() const {
        std::size_t bytes = sizeof *this + tops_.memory_bytes() + buckets_.memory_bytes() +
                            scopes_.capacity() * sizeof(void*);
        for (const auto& scope : scopes_) {
            if (scope != nullptr) bytes += scope->memory_bytes();
        }
        return bytes;
    }

  private:
    using Choice = Accesses::Choice;

    // --- Buckets

    u32 make_top(const Selector& selector) {
        const u32 number = buckets_.take();
        Bucket& bucket = buckets_[number];
        bucket.key = selector.key();
        bucket.head = NONE;
        bucket.parent = NONE;
        bucket.access = BY_SELECTOR;
        tops_.insert(bucket.key, number);
        selector.add_references(strings_);
        ++tops_by_kind_[selector.id.kind()][selector.type.kind()];
        return number;
    }

    u32 nested_bucket(u32 parent, Access access, u32 path, u64 key) {
        Scope& scope = *scopes_[parent];
        const u64 table_key = Scope::bucket_key(access, path, key);
        if (const u32* known = scope.buckets.find(table_key)) return *known;
        const u32 number = buckets_.take();
        Bucket& bucket = buckets_[number];
        bucket.key = key;
        bucket.head = NONE;
        bucket.parent = parent;
        bucket.path = path;
        bucket.access = access;
        scope.buckets.insert(table_key, number);
        ++scope.buckets_of(access);
        if (access == BY_VALUE) ++selectivity_[path].equalities;
        if (access == BY_CHANGED_VALUE) ++selectivity_[path].triggered_equalities;
        return number;
    }

    void drop_bucket(u32 number) {
        const Bucket bucket = buckets_[number];
        if (bucket.state == Bucket::BLOCK) Block::release(blocks_, bucket.block);
        if (bucket.state == Bucket::SCOPE) {
            const u32 scope = bucket.scope->number;
            scopes_[scope].reset();
            free_scopes_.push_back(scope);
        }
        if (bucket.parent == NONE) {
            const Selector selector = Selector::from_key(bucket.key);
            tops_.erase(bucket.key);
            --tops_by_kind_[selector.id.kind()][selector.type.kind()];
            selector.release(strings_);
        } else {
            Scope& scope = *scopes_[bucket.parent];
            scope.buckets.erase(Scope::bucket_key(bucket.access, bucket.path, bucket.key));
            --scope.buckets_of(bucket.access);
            if (bucket.access == BY_VALUE) --selectivity_[bucket.path].equalities;
            if (bucket.access == BY_CHANGED_VALUE) {
                --selectivity_[bucket.path].triggered_equalities;
            }
        }
        buckets_.give_back(number);
    }

    // One more member in the bucket's scope and all that it is part of.
    void count_up(u32 bucket) {
        for (;;) {
            ++buckets_[bucket].count;
            const u32 parent = buckets_[bucket].parent;
            if (parent == NONE) return;
            ++scopes_[parent]->count;
            bucket = scopes_[parent]->bucket;
        }
    }

    void count_down(u32 bucket) {
        for (;;) {
            const u32 parent = buckets_[bucket].parent;
            if (--buckets_[bucket].count == 0) drop_bucket(bucket);
            if (parent == NONE) return;
            --scopes_[parent]->count;
            bucket = scopes_[parent]->bucket;
        }
    }

    void add_to_bucket(u32 number, u32 member) {
        Bucket& bucket = buckets_[number];
        ++bucket.count;
        if (bucket.state == Bucket::SCOPE) {
            add_to_scope(bucket.scope->number, member);
        } else if (bucket.state == Bucket::BLOCK) {
            append_to_block(number, member);
            if (bucket.count > block_) make_scope(number);
        } else {
            Member& added = members_[member];
            added.place = IN_CHAIN;
            added.where = number;
            added.position = bucket.head;
            bucket.head = member;
            if (bucket.count > CHAIN) make_block(number);
        }
    }

    void unchain(u32 number, u32 member) {
        Bucket& bucket = buckets_[number];
        if (bucket.head == member) {
            bucket.head = members_[member].position;
            return;
        }
        u32 before = bucket.head;
        while (members_[before].position != member) before = members_[before].position;
        members_[before].position = members_[member].position;
    }

    void make_block(u32 number) {
        Bucket& bucket = buckets_[number];
        u32 member = bucket.head;
        bucket.block = Block::make(blocks_, 2 * CHAIN, false);
        bucket.state = Bucket::BLOCK;
        while (member != NONE) {
            const u32 next = members_[member].position;
            append_to_block(number, member);
            member = next;
        }
    }

    void append_to_block(u32 number, u32 member) {
        Bucket& bucket = buckets_[number];
        Block* block = bucket.block;
        if (block->is_full()) {
            bucket.block = block->copy(blocks_, 0, block->count, block->count * 3 / 2);
            Block::release(blocks_, block);
        }
        Member& added = members_[member];
        added.place = IN_BLOCK;
        added.where = number;
        added.position = bucket.block->count;
        const Step step{bucket.access, bucket.path, bucket.key};
        const Scope* parent = bucket.parent == NONE ? nullptr : scopes_[bucket.parent].get();
        bucket.block->append(accesses_.posting_of(member, NONE, parent, &step));
    }

    void erase_from_block(Bucket& bucket, u32 place) {
        Block* block = bucket.block;
        const Posting last = block->get(block->count - 1);
        if (place != block->count - 1) {
            block->replace(place, last);
            members_[last.member].position = place;
        }
        block->drop_last();
        if (block->capacity() > 16 && block->count * 4 < block->capacity()) {
            bucket.block = block->copy(blocks_, 0, block->count, std::max(8u, block->count * 2));
            Block::release(blocks_, block);
        }
    }

    void make_scope(u32 number) {
        u32 scope_number;
        if (free_scopes_.empty()) {
            scope_number = static_cast<u32>(scopes_.size());
            scopes_.push_back(nullptr);
            free_scopes_.reserve(scopes_.size());
        } else {
            scope_number = free_scopes_.back();
            free_scopes_.pop_back();
        }
        auto scope = std::make_unique<Scope>(blocks_, seed_, scope_number);
        Bucket& bucket = buckets_[number];
        if (bucket.parent != NONE) {
            scope->steps = scopes_[bucket.parent]->steps;
            scope->steps.push_back({bucket.access, bucket.path, bucket.key});
        }
        scope->bucket = number;
        Block* block = bucket.block;
        bucket.state = Bucket::SCOPE;
        bucket.scope = scope.get();
        scopes_[scope_number] = std::move(scope);
        for (u32 i = 0; i < block->count; ++i) add_to_scope(scope_number, block->member(i));
        Block::release(blocks_, block);
    }

    // --- Scopes

    void add_to_scope(u32 scope_number, u32 number) {
        Scope& scope = *scopes_[scope_number];
        ++scope.count;
        const Member member = members_[number];
        const Record record(arena_, member.record);
        u32 changes[Accesses::MAX_CHANGES];
        const Choice choice = accesses_.choose(number, record, scope, changes);
        const Predicate* predicate = record.predicates() + choice.predicate;
        switch (choice.kind) {
            case Choice::VALUE:
                post_below(scope_number, number, BY_VALUE, predicate->path, predicate->low);
                return;
            case Choice::CHANGED_VALUE:
                post_below(scope_number, number, BY_CHANGED_VALUE, predicate->path,
                           predicate->low);
                return;
            case Choice::VALUES:
                for (u32 i = 0; i < predicate->high; ++i) {
                    const u32 posted = i == 0 ? number : add_copy(scope_number, number);
                    post_below(scope_number, posted, BY_VALUE, predicate->path,
                               record.keys(*predicate)[i]);
                }
                return;
            case Choice::CHANGES:
                for (u32 i = 0; i < record.attribute_count(); ++i) {
                    const u32 posted = i == 0 ? number : add_copy(scope_number, number);
                    post_below(scope_number, posted, BY_CHANGE, record.attributes()[i], 0);
                }
                return;
            case Choice::PATH:
                post_below(scope_number, number, BY_SERVICE_PATH, 0, member.service_path);
                return;
            case Choice::RANGE:
                put(number, IN_RANGES, scope_number, choice.predicate);
                insert_range(scope, number, choice.predicate, false);
                return;
            case Choice::CHANGED_RANGES:
                put(number, IN_CHANGES, scope_number, 0);
                for (u32 i = 0; i < record.attribute_count(); ++i) {
                    insert_range(scope, number, changes[i], true);
                }
                return;
            case Choice::PLACES:
                if (scope.places == nullptr) scope.places = std::make_unique<geoscope::RTree>();
                put(number, IN_PLACES, scope_number, 0);
                for (u32 i = 0; i < record.box_count(); ++i) {
                    scope.places->insert(number, record.boxes()[i]);
                }
                return;
            case Choice::NOTHING:
                put(number, IN_REMAINDER, scope_number, scope.remainder.count());
                scope.remainder.append(accesses_.posting_of(number, NONE, &scope, nullptr));
        }
    }

    void put(u32 member, Place place, u32 where, u32 position) {
        Member& placed = members_[member];
        placed.place = place;
        placed.where = where;
        placed.position = position;
    }

    void post_below(u32 scope, u32 member, Access access, u32 path, u64 key) {
        add_to_bucket(nested_bucket(scope, access, path, key), member);
    }

    // Another member of the same subscription, for another posting in the scope.
    u32 add_copy(u32 scope, u32 number) {
        const u32 copy = members_.take();
        Member& added = members_[copy];
        Member& original = members_[number];
        added = original;
        added.place = NOWHERE;
        original.ring = copy;
        ++scopes_[scope]->count;
        count_up(scopes_[scope]->bucket);
        return copy;
    }

    void insert_range(Scope& scope, u32 member, u32 predicate_number, bool triggered) {
        const Record record(arena_, members_[member].record);
        const Predicate& predicate = record.predicates()[predicate_number];
        Posting posting = accesses_.posting_of(member, predicate_number, &scope, nullptr);
        Accesses::change_range(predicate, posting.lower, posting.upper);
        scope.insert_range(scope.strata_for(predicate.path, triggered), posting,
                           selectivity_[predicate.path].span());
    }

    bool erase_range(Scope& scope, u32 member, const Predicate& predicate, bool triggered) {
        float lower, upper;
        if (!Accesses::change_range(predicate, lower, upper)) return false;
        Strata* strata = scope.find_strata(predicate.path, triggered);
        return strata != nullptr && scope.erase_range(*strata, lower, upper, member);
    }

    void unpost_from_scope(Scope& scope, u32 number, const Member& member) {
        const Record record(arena_, member.record);
        bool found = true;
        if (member.place == IN_REMAINDER) {
            const u32 moved = scope.remainder.erase(member.position);
            if (moved != NONE) members_[moved].position = member.position;
        } else if (member.place == IN_RANGES) {
            found = erase_range(scope, number, record.predicates()[member.position], false);
        } else if (member.place == IN_CHANGES) {
            for (u32 a = 0; a < record.attribute_count(); ++a) {
                // The one that was chosen: the member is in the ranges of the path only once.
                bool erased = false;
                for (u32 i = 0; i < record.predicate_count() && !erased; ++i) {
                    const Predicate& predicate = record.predicates()[i];
                    erased = predicate.path == record.attributes()[a] &&
                             erase_range(scope, number, predicate, true);
                }
                found = found && erased;
            }
        } else if (member.place == IN_PLACES) {
            for (u32 i = 0; i < record.box_count(); ++i) {
                found = scope.places->remove(number, record.boxes()[i]) && found;
            }
            if (scope.places->size() == 0) scope.places.reset();
        } else {
            found = false;
        }
        if (!found) throw std::logic_error("a member is not where it was posted");
        --scope.count;
    }

    const Arena& arena_;
    Arena& blocks_;
    Strings& strings_;
    Pool<Member>& members_;
    Selectivity& selectivity_;
    Accesses accesses_;
    u64 seed_;
    u32 block_;
    HashTable tops_;  // by Selector::key
    u32 tops_by_kind_[3][3] = {};
    Pool<Bucket, 5> buckets_;  // beside the members, see Segments
    std::vector<std::unique_ptr<Scope>> scopes_;
    std::vector<u32> free_scopes_;
};

}  // namespace rigel::matching
