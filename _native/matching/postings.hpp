// Blocks of postings in columns, and the scans over them.
//
// A posting says: look at this member if a number of the event lies between two bounds (for
// blocks of ranges), and so does the number at a second path. Bounds are floats, those of the
// second range without their last 8 bits and rounded outwards: a filter, whose finds are
// verified. Rounding is monotone, so what holds in doubles holds in floats as well.
//
// The second ranges stand together, 8 bytes a posting: they let few through, so that a scan reads
// little else. 20 bytes a posting, 12 without a range of its own.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "matching/memory.hpp"
#include "matching/values.hpp"

namespace rigel::matching {

#if defined(__x86_64__)
inline const bool HAS_AVX2 = __builtin_cpu_supports("avx2");
#endif

struct Posting {
    float lower, upper;
    float lower2, upper2;
    u32 path2;  // 0: no second range
    u32 member;
};

class Block;

// A posting whose second range holds; its own range is looked at when its memory has come.
struct Hit {
    Block* block;
    u32 place;
    float x;
};

// Members that an event may trigger, to be verified. May hold some twice.
class Candidates {
  public:
    Candidates() = default;
    Candidates(const Candidates&) = delete;
    Candidates& operator=(const Candidates&) = delete;
    ~Candidates() { std::free(members_); }

    u32 size() const { return size_; }
    u32 operator[](u32 i) const { return members_[i]; }
    void clear() { size_ = 0; }

    void add(u32 member) {
        make_room(1);
        members_[size_++] = member;
    }
    // Room behind the last for `count` more; `grow_to` says how many there are then.
    u32* make_room(u32 count) {
        if (capacity_ - size_ < count) {
            const u32 capacity = std::max(size_ + count, capacity_ * 2);
            auto* larger = static_cast<u32*>(std::realloc(members_, capacity * sizeof(u32)));
            if (larger == nullptr) throw std::bad_alloc();
            members_ = larger;
            capacity_ = capacity;
        }
        return members_ + size_;
    }
    void grow_to(const u32* end) { size_ = static_cast<u32>(end - members_); }

  private:
    u32* members_ = nullptr;
    u32 size_ = 0;
    u32 capacity_ = 0;
};

// The numbers of an event by path, NaN where there is none. With lists in the event the two
// differ: the least and the greatest.
struct Numbers {
    const float* low;
    const float* high;
};

// A second range in two words: the bounds' upper 24 bits, and 8 bits of the path in each.
class SecondRange {
  public:
    SecondRange() = default;
    explicit SecondRange(const Posting& posting) {
        // A path beyond 16 bits has no room: then there is no filter.
        const bool has_room = posting.path2 <= 0xffff;
        const u32 path = has_room ? posting.path2 : 0;
        low_ = outward(has_room ? posting.lower2 : -INFINITE, true) | (path & 0xff);
        high_ = outward(has_room ? posting.upper2 : INFINITE, false) | path >> 8;
    }

    u32 path() const { return (low_ & 0xff) | (high_ & 0xff) << 8; }
    float lower() const { return float_of(low_ & BOUND); }
    float upper() const { return float_of(high_ & BOUND); }

    static constexpr u32 BOUND = 0xffffff00u;

  private:
    static u32 outward(float bound, bool down) {
        u32 bits;
        std::memcpy(&bits, &bound, sizeof bits);
        const bool is_negative = bits >> 31;
        // Cutting bits off goes towards zero.
        if (is_negative == down && (bits & ~BOUND) != 0) bits += 0x100;
        return bits & BOUND;
    }
    static float float_of(u32 bits) {
        float number;
        std::memcpy(&number, &bits, sizeof number);
        return number;
    }

    u32 low_, high_;
};
static_assert(sizeof(SecondRange) == 8);

class alignas(64) Block {
    static constexpr u32 GROUP = 16;
    static constexpr u32 GROUPS = 8;
    static constexpr u32 WORD = sizeof(u64);

  public:
    // Postings of a block with ranges: as many as its header tells groups of.
    static constexpr u32 MAX_RANGES = GROUP * GROUPS;

    u32 count;

    // Of at least `capacity` postings: what fits into the lines of memory that it takes.
    static Block* make(Arena& arena, u32 capacity, bool is_ranged) {
        const u32 size = is_ranged ? RANGE_BYTES : CROWD_BYTES;
        const auto words = static_cast<u32>((sizeof(Block) + capacity * size + 63) / 64 * 8);
        const u32 address = arena.take(words);
        auto* block = reinterpret_cast<Block*>(arena.at(address));
        const auto room = static_cast<u32>((words * WORD - sizeof(Block)) / size);
        block->count = 0;
        block->capacity_ = is_ranged ? std::min(room, MAX_RANGES) : room;
        block->seconds_count_ = 0;
        block->width_max_ = 0;
        block->words_ = words;
        block->address_ = address;
        block->is_ranged_ = is_ranged;
        return block;
    }

    static void release(Arena& arena, Block* block) {
        arena.give_back(block->address_, block->words_);
    }

    u32 capacity() const { return capacity_; }
    bool is_full() const { return count == capacity_; }

    u32 member(u32 i) { return is_ranged_ ? ranges()[i].member : crowd()[i]; }
    float lower(u32 i) { return ranges()[i].lower; }
    float width(u32 i) { return ranges()[i].upper - ranges()[i].lower; }

    Posting get(u32 i) {
        const SecondRange second = seconds()[i];
        Posting posting{0, 0, second.lower(), second.upper(), second.path(), member(i)};
        if (is_ranged_) {
            posting.lower = ranges()[i].lower;
            posting.upper = ranges()[i].upper;
        }
        return posting;
    }

    void insert(u32 i, const Posting& posting) {
        shift(seconds(), i, 1);
        if (is_ranged_) {
            shift(ranges(), i, 1);
        } else {
            shift(crowd(), i, 1);
        }
        ++count;
        write(i, posting);
        note_groups();
    }

    void erase(u32 i) {
        seconds_count_ -= seconds()[i].path() != 0;
        shift(seconds(), i + 1, -1);
        if (is_ranged_) {
            shift(ranges(), i + 1, -1);
        } else {
            shift(crowd(), i + 1, -1);
        }
        --count;
        note_groups();
    }

    void append(const Posting& posting) {
        write(count++, posting);
        note_groups();
    }

    // Puts another posting in the place of one.
    void replace(u32 i, const Posting& posting) {
        seconds_count_ -= seconds()[i].path() != 0;
        write(i, posting);
    }

    void drop_last() { erase(count - 1); }

    // Those of another block from its posting `from` on.
    void append_from(Block* other, u32 from, u32 length) {
        for (u32 i = from; i < from + length; ++i) write(count++, other->get(i));
        note_groups();
    }

    // A copy of a part, with another capacity.
    Block* copy(Arena& arena, u32 from, u32 length, u32 capacity) {
        Block* part = make(arena, capacity, is_ranged_);
        part->append_from(this, from, length);
        return part;
    }

    // Whether what the header says of the postings is so; for tests.
    bool is_sound() {
        u32 seconds_found = 0;
        for (u32 i = 0; i < count; ++i) {
            seconds_found += seconds()[i].path() != 0;
            if (is_ranged_ && i % GROUP == 0 && firsts_[i / GROUP] != lower(i)) return false;
            if (is_ranged_ && width(i) > width_max_) return false;
        }
        return seconds_found == seconds_count_;
    }

    // --- Scans

    // Where postings that reach up to x may begin, by groups. Floats near x may be rounded by
    // half of their last place, which the factor covers.
    u32 begin_of(float x) const {
        const double begin = static_cast<double>(x) - static_cast<double>(width_max_) * 1.000001;
        u32 groups = 0;
        for (u32 g = 1; g < GROUPS; ++g) groups += static_cast<double>(firsts_[g]) < begin;
        return groups * GROUP;
    }
    // Where postings with lower ends of at most x end.
    u32 end_of(float x) const {
        u32 groups = 0;
        for (u32 g = 0; g < GROUPS; ++g) groups += firsts_[g] <= x;
        return std::min(groups * GROUP, count);
    }

    void prefetch(u32 from, u32 to) {
        if (seconds_count_ != 0) {
            prefetch_lines(seconds() + from, seconds() + to);
        } else if (is_ranged_) {
            prefetch_lines(ranges() + from, ranges() + to);
        } else {
            prefetch_lines(crowd() + from, crowd() + to);
        }
    }

    // Adds the members of [from, to) for which x is in their range and the second one holds. What
    // has to be fetched for that is left in `hits`.
    template <bool LISTS>
    void scan_ranges(u32 from, u32 to, float x, const Numbers& numbers, Candidates& found,
                     std::vector<Hit>& hits) {
        if (seconds_count_ == 0) {
            const Range* range = ranges();
            u32* out = found.make_room(to - from);
            for (u32 i = from; i < to; ++i) {
                *out = range[i].member;
                out += range[i].holds(x);
            }
            found.grow_to(out);
            return;
        }
        filter<LISTS>(from, to, numbers, [&](u32 i) {
            __builtin_prefetch(ranges() + i);
            hits.push_back({this, i, x});
        });
    }

    static void resolve(const Hit& hit, Candidates& found) {
        const Range& range = hit.block->ranges()[hit.place];
        if (range.holds(hit.x)) found.add(range.member);
    }

    template <bool LISTS>
    void scan_all(const Numbers& numbers, Candidates& found) {
        if (seconds_count_ == 0) {
            u32* out = found.make_room(count);
            std::memcpy(out, crowd(), count * sizeof(u32));
            found.grow_to(out + count);
            return;
        }
        filter<LISTS>(0, count, numbers, [&](u32 i) { found.add(crowd()[i]); });
    }

  private:
    struct Range {
        float lower, upper;
        u32 member;

        bool holds(float x) const { return lower <= x && upper >= x; }
    };

    static constexpr u32 RANGE_BYTES = sizeof(SecondRange) + sizeof(Range);
    static constexpr u32 CROWD_BYTES = sizeof(SecondRange) + sizeof(u32);

    SecondRange* seconds() { return reinterpret_cast<SecondRange*>(this + 1); }
    Range* ranges() { return reinterpret_cast<Range*>(seconds() + capacity_); }
    u32* crowd() { return reinterpret_cast<u32*>(seconds() + capacity_); }

    template <class T>
    void shift(T* column, u32 from, int by) {
        std::memmove(static_cast<void*>(column + from + by), column + from,
                     (count - from) * sizeof(T));
    }

    void write(u32 i, const Posting& posting) {
        seconds()[i] = SecondRange(posting);
        seconds_count_ += seconds()[i].path() != 0;
        if (is_ranged_) {
            ranges()[i] = {posting.lower, posting.upper, posting.member};
            width_max_ = std::max(width_max_, posting.upper - posting.lower);
        } else {
            crowd()[i] = posting.member;
        }
    }

    // The first lower end of each group, NaN for groups that are not there.
    void note_groups() {
        if (!is_ranged_) return;
        for (u32 g = 0; g < GROUPS; ++g) {
            firsts_[g] = g * GROUP < count ? lower(g * GROUP) : NOT_A_NUMBER;
        }
    }

    static void prefetch_lines(const void* from, const void* to) {
        const auto* at = static_cast<const char*>(from);
        for (; at < static_cast<const char*>(to); at += 64) __builtin_prefetch(at);
    }

    // Calls take(i) for those of [from, to) whose second range holds.
    template <bool LISTS, class Take>
    void filter(u32 from, u32 to, const Numbers& numbers, Take&& take) {
#if defined(__x86_64__)
        if (HAS_AVX2) from = filter_avx2<LISTS>(from, to, numbers, take);
#endif
        for (u32 i = from; i < to; ++i) {
            const SecondRange second = seconds()[i];
            const float least = numbers.low[second.path()];
            const float greatest = LISTS ? numbers.high[second.path()] : least;
            if (second.lower() <= greatest && second.upper() >= least) take(i);
        }
    }

#if defined(__x86_64__)
    // By eights; returns how far it came.
    template <bool LISTS, class Take>
    __attribute__((target("avx2"))) u32 filter_avx2(u32 from, u32 to, const Numbers& numbers,
                                                    Take&& take) {
        const __m256i bound = _mm256_set1_epi32(static_cast<int>(SecondRange::BOUND));
        u32 i = from;
        for (; i + 8 <= to; i += 8) {
            const auto* words = reinterpret_cast<const float*>(seconds() + i);
            const __m256 front = _mm256_loadu_ps(words), back = _mm256_loadu_ps(words + 8);
            // In the order 0 1 4 5 2 3 6 7, which is put right when something was found.
            const __m256i low = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0x88));
            const __m256i high = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0xdd));
            const __m256i path = _mm256_or_si256(
                _mm256_andnot_si256(bound, low),
                _mm256_slli_epi32(_mm256_andnot_si256(bound, high), 8));
            const __m256 least = _mm256_i32gather_ps(numbers.low, path, 4);
            const __m256 greatest = LISTS ? _mm256_i32gather_ps(numbers.high, path, 4) : least;
            const __m256 holds = _mm256_and_ps(
                _mm256_cmp_ps(_mm256_castsi256_ps(_mm256_and_si256(low, bound)), greatest,
                              _CMP_LE_OQ),
                _mm256_cmp_ps(_mm256_castsi256_ps(_mm256_and_si256(high, bound)), least,
                              _CMP_GE_OQ));
            int hits = _mm256_movemask_ps(holds);
            if (hits == 0) continue;
            hits = (hits & 0xc3) | (hits & 0x0c) << 2 | (hits & 0x30) >> 2;
            for (; hits != 0; hits &= hits - 1) take(i + static_cast<u32>(__builtin_ctz(hits)));
        }
        return i;
    }
#endif

    u32 capacity_;
    u32 seconds_count_;  // postings with a second range
    u32 words_;
    u32 address_;
    u32 is_ranged_;
    float width_max_;  // of all that were in it
    float firsts_[GROUPS];
};
static_assert(sizeof(Block) == 64);

}  // namespace rigel::matching
