// A hash table from 64-bit keys to 32-bit values that never pauses: extendible hashing.
//
// A directory by the first bits of the hash leads to shards of some thousand slots, each a table
// with linear probing in the order of homes, so that a key that is not in is given up after
// three slots or so (most keys of an event are not in). A full shard is split in two; only its
// slots move. The hash is seeded, so that nobody can choose keys that fall together, and can be
// undone, so that it stands for the key.
//
// Costs: one cache miss for the slot beside the directory, which stays in the cache; 12 bytes a
// slot at 60 to 80 per cent load; an insertion at most one split, some ten microseconds.
#pragma once

#include <cstring>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "matching/memory.hpp"

namespace rigel::matching {

inline u64 mix(u64 x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    return x;
}

// The x that `mix` makes this of.
inline u64 unmix(u64 x) {
    x ^= x >> 32;
    x *= 0xcfee444d8b59a89bull;
    x ^= x >> 32;
    x *= 0xcfee444d8b59a89bull;
    x ^= x >> 32;
    return x;
}

inline u64 combine(u64 a, u64 b) {
    return mix(a * 0x9e3779b97f4a7c15ull ^ mix(b + 0x2545f4914f6cdd1dull));
}

inline u64 random_seed() {
    std::random_device source;
    return u64{source()} << 32 | source();
}

inline u64 hash_text(u64 seed, std::string_view text) {
    u64 state = seed ^ text.size() * 0x9e3779b97f4a7c15ull;
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 8; left -= 8, at += 8) {
        u64 word;
        std::memcpy(&word, at, 8);
        const auto wide = static_cast<unsigned __int128>(state ^ word) * 0xa0761d6478bd642full;
        state = static_cast<u64>(wide) ^ static_cast<u64>(wide >> 64) ^ seed;
    }
    u64 tail = 0;
    std::memcpy(&tail, at, left);
    return mix(state ^ tail);
}

class HashTable {
  public:
    HashTable(Arena& arena, u64 seed) : arena_(arena), seed_(seed) {}
    HashTable(const HashTable&) = delete;
    HashTable& operator=(const HashTable&) = delete;
    ~HashTable() {
        for (Shard& shard : shards_) drop_slots(shard);
    }

    std::size_t size() const { return size_; }

    // The value of the key, nullptr without one. Valid until the next insertion or removal.
    u32* find(u64 key) const {
        if (size_ == 0) return nullptr;
        const u64 hash = mix(key ^ seed_);
        const Shard& shard = shard_of(hash);
        if (shard.capacity == 0) return nullptr;
        u32 i = home(hash, shard.capacity);
        for (u32 steps = 0;; ++steps) {
            Slot& slot = shard.slots[i];
            if (slot.value == NONE) return nullptr;
            if (slot.hash() == hash) return &slot.value;
            if (distance(home(slot.hash(), shard.capacity), i, shard.capacity) < steps) {
                return nullptr;
            }
            if (++i == shard.capacity) i = 0;
        }
    }

    void prefetch(u64 key) const {
        if (size_ == 0) return;
        const u64 hash = mix(key ^ seed_);
        const Shard& shard = shard_of(hash);
        if (shard.capacity != 0) __builtin_prefetch(shard.slots + home(hash, shard.capacity));
    }

    // Adds a key that is not in; the value must not be NONE.
    void insert(u64 key, u32 value) {
        if (shards_.empty()) {
            shards_.push_back(Shard{});
            directory_.push_back(0);
        }
        const u64 hash = mix(key ^ seed_);
        Shard* shard = &shard_of(hash);
        // Load at most four fifths.
        if (static_cast<u64>(shard->count + 1) * 5 > static_cast<u64>(shard->capacity) * 4) {
            if (shard->count >= MAX_SHARD_COUNT && shard->depth < MAX_DEPTH) {
                split(directory_[place_of(hash)]);
                shard = &shard_of(hash);
            }
            if (static_cast<u64>(shard->count + 1) * 5 > static_cast<u64>(shard->capacity) * 4) {
                resize(*shard, shard->capacity < 4 ? 4 : shard->capacity * 5 / 4 + 1);
            }
        }
        put(*shard, hash, value);
        ++size_;
    }

    void erase(u64 key) {
        if (size_ == 0) return;
        const u64 hash = mix(key ^ seed_);
        Shard& shard = shard_of(hash);
        if (shard.capacity == 0) return;
        u32 hole = home(hash, shard.capacity);
        for (;; hole = hole + 1 == shard.capacity ? 0 : hole + 1) {
            if (shard.slots[hole].value == NONE) return;
            if (shard.slots[hole].hash() == hash) break;
        }
        --size_;
        --shard.count;
        // What was pushed past its home moves back by one, so that no tombstones are needed.
        for (;;) {
            const u32 next = hole + 1 == shard.capacity ? 0 : hole + 1;
            const Slot& slot = shard.slots[next];
            if (slot.value == NONE || home(slot.hash(), shard.capacity) == next) break;
            shard.slots[hole] = slot;
            hole = next;
        }
        shard.slots[hole].value = NONE;
        if (shard.capacity > 16 && shard.count * 4 < shard.capacity) {
            resize(shard, shard.count * 2 + 4);
        }
    }

    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const Shard& shard : shards_) {
            for (u32 i = 0; i < shard.capacity; ++i) {
                const Slot& slot = shard.slots[i];
                if (slot.value != NONE) visit(unmix(slot.hash()) ^ seed_, slot.value);
            }
        }
    }

    // Without the shards, which are the arena's.
    std::size_t memory_bytes() const {
        return sizeof *this + shards_.capacity() * sizeof(Shard) +
               directory_.capacity() * sizeof(u32);
    }

  private:
    // Entries of a shard before it is split: the longest pause of an insertion.
    static constexpr u32 MAX_SHARD_COUNT = 3072;
    // A limit of the directory, 2^24 shards; beyond it shards grow.
    static constexpr u32 MAX_DEPTH = 24;

    // Three words and not a padded pair of 8 and 8 bytes: a quarter less memory.
    struct Slot {
        u32 hash_low, hash_high, value;

        u64 hash() const { return u64{hash_high} << 32 | hash_low; }
    };

    struct Shard {
        Slot* slots = nullptr;
        u32 address = 0;
        u32 words = 0;
        u32 capacity = 0;
        u32 count = 0;
        u32 depth = 0;  // bits of the hash that its entries have in common
    };

    static u32 home(u64 hash, u32 capacity) {
        return static_cast<u32>((hash & 0xffffffffu) * capacity >> 32);
    }
    static u32 distance(u32 from, u32 to, u32 capacity) {
        return to >= from ? to - from : to + capacity - from;
    }

    u64 place_of(u64 hash) const { return depth_ == 0 ? 0 : hash >> (64 - depth_); }
    Shard& shard_of(u64 hash) { return shards_[directory_[place_of(hash)]]; }
    const Shard& shard_of(u64 hash) const { return shards_[directory_[place_of(hash)]]; }

    static u32 words_for(u32 capacity) {
        return static_cast<u32>((capacity * sizeof(Slot) + 7) / 8);
    }

    // An empty shard of at least so many slots: as many as fit into what the arena gives.
    Shard make_shard(u32 capacity, u32 depth) {
        const u32 words = arena_.words_given(words_for(capacity));
        Shard shard;
        shard.address = arena_.take(words);
        shard.words = words;
        shard.slots = reinterpret_cast<Slot*>(arena_.at(shard.address));
        shard.capacity = static_cast<u32>(words * 8 / sizeof(Slot));
        shard.depth = depth;
        std::memset(static_cast<void*>(shard.slots), 0xff, shard.capacity * sizeof(Slot));
        return shard;
    }

    void drop_slots(Shard& shard) {
        if (shard.capacity != 0) arena_.give_back(shard.address, shard.words);
    }

    static void put(Shard& shard, u64 hash, u32 value) {
        Slot carried{static_cast<u32>(hash), static_cast<u32>(hash >> 32), value};
        u32 i = home(hash, shard.capacity);
        for (u32 steps = 0; shard.slots[i].value != NONE; ++steps) {
            // One that is nearer to its home goes on in place of this one.
            Slot& other = shard.slots[i];
            const u32 others = distance(home(other.hash(), shard.capacity), i, shard.capacity);
            if (others < steps) {
                std::swap(carried, other);
                steps = others;
            }
            if (++i == shard.capacity) i = 0;
        }
        shard.slots[i] = carried;
        ++shard.count;
    }

    void resize(Shard& shard, u32 capacity) {
        Shard other = make_shard(capacity, shard.depth);
        for (u32 i = 0; i < shard.capacity; ++i) {
            const Slot& slot = shard.slots[i];
            if (slot.value != NONE) put(other, slot.hash(), slot.value);
        }
        drop_slots(shard);
        shard = other;
    }

    void split(u32 number) {
        const u32 depth = shards_[number].depth;
        if (depth == depth_) {
            std::vector<u32> wider(directory_.size() * 2);
            for (std::size_t i = 0; i < wider.size(); ++i) wider[i] = directory_[i / 2];
            directory_.swap(wider);
            ++depth_;
        }
        shards_.reserve(shards_.size() + 1);
        Shard old = shards_[number];
        const u32 capacity = old.count * 3 / 4;  // both get about half of the entries
        Shard halves[2] = {make_shard(capacity, depth + 1), make_shard(capacity, depth + 1)};
        for (u32 i = 0; i < old.capacity; ++i) {
            const Slot& slot = old.slots[i];
            if (slot.value == NONE) continue;
            const u64 hash = slot.hash();
            Shard& half = halves[hash >> (63 - depth) & 1];
            if (static_cast<u64>(half.count + 1) * 8 > static_cast<u64>(half.capacity) * 7) {
                resize(half, half.capacity * 3 / 2);  // the hash was unfair, for once
            }
            put(half, hash, slot.value);
        }
        drop_slots(old);
        shards_[number] = halves[0];
        const auto added = static_cast<u32>(shards_.size());
        shards_.push_back(halves[1]);
        // The shard's part of the directory is contiguous; its second half leads to the new one.
        std::size_t first = 0;
        while (directory_[first] != number) ++first;
        const std::size_t width = std::size_t{1} << (depth_ - depth);
        for (std::size_t i = first + width / 2; i < first + width; ++i) directory_[i] = added;
    }

    Arena& arena_;
    std::vector<Shard> shards_;
    std::vector<u32> directory_;
    u32 depth_ = 0;
    std::size_t size_ = 0;
    u64 seed_;
};

}  // namespace rigel::matching
