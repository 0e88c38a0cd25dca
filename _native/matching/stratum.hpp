// Ranges of similar width over one path, sorted by their lower ends in blocks of up to 128.
//
// A number looks only at those that begin at most one width before it. Ranges without an upper
// end are a stratum, those without a lower end another, turned round (see Strata). Entries are in
// the order of (lower end, member), so that any number of equal ranges costs no more than others.
//
// A stratum whose widths differ much is split in two at a width, a few blocks with every later
// change: no single change is long.
//
// Costs: insert and erase below a microsecond; a stab two or three cache misses and what it
// scans. About 32 bytes a range.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "matching/memory.hpp"
#include "matching/postings.hpp"
#include "matching/values.hpp"
#include "matching/widths.hpp"

namespace rigel::matching {

class Stratum {
  public:
    enum Kind : u8 { BETWEEN, ABOVE, BELOW };

    Stratum(Arena& arena, Kind kind, float from, float to)
        : arena_(arena), kind_(kind), width_from_(from), width_to_(to) {}
    Stratum(const Stratum&) = delete;
    Stratum& operator=(const Stratum&) = delete;
    ~Stratum() {
        for (Block* block : blocks_) Block::release(arena_, block);
    }

    Kind kind() const { return kind_; }
    u32 count() const { return count_; }
    u32 block_count() const { return static_cast<u32>(blocks_.size()); }
    float width_max() const { return width_max_; }

    bool takes(Kind kind, float width) const {
        return kind == kind_ && (kind != BETWEEN || (width >= width_from_ && has_below(width)));
    }

    void insert(const Posting& posting) {
        if (kind_ == BETWEEN) width_max_ = std::max(width_max_, width_of(posting));
        if (split_ != nullptr) narrow_max_ = std::max(narrow_max_, width_of(posting));
        if (blocks_.empty()) {
            reserve_block();
            blocks_.push_back(Block::make(arena_, 4, true));
            firsts_.push_back(posting.lower);
            first_members_.push_back(posting.member);
        }
        u32 at = block_of(posting.lower, posting.member);
        if (blocks_[at]->is_full()) {
            make_room(at);
            at = block_of(posting.lower, posting.member);
        }
        Block* block = blocks_[at];
        const u32 place = place_in(block, posting.lower, posting.member);
        block->insert(place, posting);
        if (place == 0) set_first(at);
        ++count_;
    }

    bool erase(float lower, u32 member) {
        if (blocks_.empty()) return false;
        const u32 at = block_of(lower, member);
        Block* block = blocks_[at];
        const u32 place = place_in(block, lower, member);
        if (place == block->count || block->member(place) != member ||
            block->lower(place) != lower) {
            return false;
        }
        block->erase(place);
        --count_;
        if (block->count == 0) {
            drop_block(at);
            return true;
        }
        if (place == 0) set_first(at);
        if (block->capacity() > 16 && block->count * 3 < block->capacity()) shrink(at);
        return true;
    }

    // --- Splitting

    bool is_splitting() const { return split_ != nullptr; }

    // A width at which two strata would save more than the additional one costs; 0 for none.
    // `span`: how far the numbers of this path reach.
    float width_to_split(double span) const {
        constexpr u32 SAMPLED_BLOCKS = 32;
        if (!(span > 0)) return 0;
        Widths widths;
        u32 sampled = 0;
        const u32 step = std::max(1u, block_count() / SAMPLED_BLOCKS);
        for (u32 b = 0; b < block_count(); b += step) {
            Block* block = blocks_[b];
            sampled += block->count;
            for (u32 i = 0; i < block->count; ++i) widths.add(block->width(i));
        }
        const float width =
            widths.best_split(static_cast<double>(count_) / sampled / span, width_max_);
        return width > width_from_ && has_below(width) ? width : 0;
    }

    // Leaves widths from `width` on to `wide`, which gets them by `continue_split`.
    void begin_split(float width, Stratum* wide) {
        split_ = wide;
        split_next_ = 0;
        narrow_max_ = 0;
        width_to_ = width;
    }

    // Moves the wide ones of a few blocks; true when all are moved.
    bool continue_split() {
        constexpr u32 BLOCKS_AT_ONCE = 4;
        for (u32 n = 0; n < BLOCKS_AT_ONCE && split_next_ < block_count(); ++n) move_wide();
        if (split_next_ < block_count()) return false;
        split_ = nullptr;
        width_max_ = narrow_max_;
        return true;
    }

    float width_from() const { return width_from_; }
    float width_to() const { return width_to_; }

    // --- Stabbing, in steps so that the cache misses of several strata overlap

    // The only block, nullptr if there are others or none.
    Block* only_block() const { return blocks_.size() == 1 ? blocks_[0] : nullptr; }

    struct Stab {
        const Stratum* stratum;
        Block *first, *last;  // nullptr for none
        float x;
        u32 first_number, last_number;
        u32 from, to;  // in the first, in the last
    };

    // `only`: the stratum's only block, which is all that is needed then.
    static Stab make_stab(const Stratum* stratum, Kind kind, Block* only, float x) {
        const auto* memory = reinterpret_cast<const char*>(stratum);
        __builtin_prefetch(only == nullptr ? memory : reinterpret_cast<const char*>(only));
        if (only == nullptr) __builtin_prefetch(memory + 64);
        return {stratum, only, only, kind == BELOW ? -x : x, 0, 0, 0, 0};
    }

    static void begin_stab(Stab& stab) {
        if (stab.first != nullptr) return;
        const Stratum& stratum = *stab.stratum;
        const auto* firsts = reinterpret_cast<const char*>(stratum.firsts_.data());
        __builtin_prefetch(firsts);
        __builtin_prefetch(firsts + stratum.firsts_.size() / 2 * sizeof(float));
        __builtin_prefetch(stratum.blocks_.data());
    }

    static void find_blocks(Stab& stab) {
        if (stab.first != nullptr) return;
        const Stratum& stratum = *stab.stratum;
        const float* firsts = stratum.firsts_.data();
        const u32 count = stratum.block_count();
        if (count == 0 || !(firsts[0] <= stab.x)) return;
        const u32 last =
            static_cast<u32>(std::upper_bound(firsts, firsts + count, stab.x) - firsts) - 1;
        u32 first = 0;
        if (stratum.kind_ == BETWEEN) {
            // Those before may still reach x; mostly it is the same block or the one before.
            const double begin = stratum.begin_of(stab.x);
            first = last;
            while (first != 0 && static_cast<double>(firsts[first]) >= begin) --first;
        }
        stab.first_number = first;
        stab.last_number = last;
        stab.first = stratum.blocks_[first];
        stab.last = stratum.blocks_[last];
        __builtin_prefetch(stab.first);
        __builtin_prefetch(stab.last);
    }

    static void find_ranges(Stab& stab) {
        if (stab.first == nullptr) return;
        stab.from = stab.first->begin_of(stab.x);
        stab.to = stab.last->end_of(stab.x);
        if (stab.first == stab.last) {
            stab.first->prefetch(stab.from, stab.to);
        } else {
            stab.first->prefetch(stab.from, stab.first->count);
            stab.last->prefetch(0, stab.to);
        }
    }

    template <bool LISTS>
    static void scan(const Stab& stab, const Numbers& numbers, Candidates& found,
                     std::vector<Hit>& hits) {
        if (stab.first == nullptr) return;
        if (stab.first == stab.last) {
            stab.first->scan_ranges<LISTS>(stab.from, stab.to, stab.x, numbers, found, hits);
            return;
        }
        const auto& blocks = stab.stratum->blocks_;
        stab.first->scan_ranges<LISTS>(stab.from, stab.first->count, stab.x, numbers, found, hits);
        for (u32 at = stab.first_number + 1; at < stab.last_number; ++at) {
            __builtin_prefetch(blocks[at + 1]);
            blocks[at]->scan_ranges<LISTS>(0, blocks[at]->count, stab.x, numbers, found, hits);
        }
        stab.last->scan_ranges<LISTS>(0, stab.to, stab.x, numbers, found, hits);
    }

    template <class Visit>
    void for_each(Visit&& visit) const {
        for (Block* block : blocks_) {
            for (u32 i = 0; i < block->count; ++i) visit(block->get(i));
        }
    }

    // Throws std::logic_error if something is wrong.
    void check() const {
        u32 total = 0;
        const Posting* before = nullptr;
        Posting last{};
        if (firsts_.size() != blocks_.size() || first_members_.size() != blocks_.size()) {
            throw std::logic_error("a stratum's directory is not that of its blocks");
        }
        for (u32 at = 0; at < block_count(); ++at) {
            Block* block = blocks_[at];
            if (block->count == 0 || block->count > block->capacity() || !block->is_sound()) {
                throw std::logic_error("a block of a stratum is empty or unsound");
            }
            if (firsts_[at] != block->lower(0) || first_members_[at] != block->member(0)) {
                throw std::logic_error("a stratum's directory is not that of its blocks");
            }
            for (u32 i = 0; i < block->count; ++i) {
                const Posting posting = block->get(i);
                if (before != nullptr && !(last.lower < posting.lower ||
                                           (last.lower == posting.lower &&
                                            last.member < posting.member))) {
                    throw std::logic_error("a stratum is not in order");
                }
                if (kind_ == BETWEEN && width_of(posting) > width_max_) {
                    throw std::logic_error("a range is wider than its stratum");
                }
                if (split_ == nullptr && !takes(kind_, width_of(posting))) {
                    throw std::logic_error("a range is in the wrong stratum");
                }
                last = posting;
                before = &last;
            }
            total += block->count;
        }
        if (total != count_) throw std::logic_error("a stratum has miscounted");
    }

    // Without the blocks, which are the arena's.
    std::size_t memory_bytes() const {
        std::size_t bytes = sizeof *this + firsts_.capacity() * sizeof(float) +
                            first_members_.capacity() * sizeof(u32) +
                            blocks_.capacity() * sizeof(Block*);
        return bytes;
    }

    static float width_of(const Posting& posting) { return posting.upper - posting.lower; }

  private:
    // Half of it is scanned for nothing; fewer would make the directory larger than the cache.
    static constexpr u32 MAX_POSTINGS = Block::MAX_RANGES;

    bool has_below(float width) const { return width < width_to_ || width_to_ == INFINITE; }

    // Lower ends of ranges that reach x are not below. Floats near x may be rounded by half of
    // their last place, which the factor covers.
    double begin_of(float x) const {
        return static_cast<double>(x) - static_cast<double>(width_max_) * 1.000001;
    }

    // The block that a posting is in, or belongs to.
    u32 block_of(float lower, u32 member) const {
        u32 low = 0, high = block_count();
        while (high - low > 1) {
            const u32 middle = (low + high) / 2;
            const bool is_before = firsts_[middle] < lower ||
                                   (firsts_[middle] == lower && first_members_[middle] <= member);
            (is_before ? low : high) = middle;
        }
        return low;
    }

    static u32 place_in(Block* block, float lower, u32 member) {
        u32 low = 0, high = block->count;
        while (low < high) {
            const u32 middle = (low + high) / 2;
            const float other = block->lower(middle);
            const bool is_before =
                other < lower || (other == lower && block->member(middle) < member);
            if (is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    void set_first(u32 at) {
        firsts_[at] = blocks_[at]->lower(0);
        first_members_[at] = blocks_[at]->member(0);
    }

    void reserve_block() {
        const std::size_t size = blocks_.size() + 1;
        if (size > blocks_.capacity()) {
            const std::size_t capacity = size < 8 ? size : size * 3 / 2;
            blocks_.reserve(capacity);
            firsts_.reserve(capacity);
            first_members_.reserve(capacity);
        }
    }

    // A little more than needed: blocks fill up evenly, so exact ones would all be copied soon.
    static u32 roomy(u32 count) { return std::min(MAX_POSTINGS, count * 9 / 8 + 8); }

    void make_room(u32 at) {
        Block* block = blocks_[at];
        const u32 count = block->count;
        if (count < MAX_POSTINGS) {
            const u32 capacity = count < 16 ? count * 2 : std::min(MAX_POSTINGS, count * 3 / 2);
            blocks_[at] = block->copy(arena_, 0, count, capacity);
            Block::release(arena_, block);
            return;
        }
        reserve_block();
        const u32 half = count / 2;
        Block* left = block->copy(arena_, 0, half, roomy(half));
        Block* right = block->copy(arena_, half, count - half, roomy(count - half));
        Block::release(arena_, block);
        blocks_[at] = left;
        blocks_.insert(blocks_.begin() + at + 1, right);
        firsts_.insert(firsts_.begin() + at + 1, 0);
        first_members_.insert(first_members_.begin() + at + 1, 0);
        set_first(at + 1);
        if (at < split_next_) ++split_next_;
    }

    void drop_block(u32 at) {
        Block::release(arena_, blocks_[at]);
        blocks_.erase(blocks_.begin() + at);
        firsts_.erase(firsts_.begin() + at);
        first_members_.erase(first_members_.begin() + at);
        if (at < split_next_) --split_next_;
    }

    void shrink(u32 at) {
        Block* block = blocks_[at];
        // Not while splitting: a block that was looked at must not get others' postings.
        if (split_ == nullptr && at + 1 < block_count() &&
            block->count + blocks_[at + 1]->count <= MAX_POSTINGS * 3 / 4) {
            Block* next = blocks_[at + 1];
            Block* joined = block->copy(arena_, 0, block->count, roomy(block->count + next->count));
            joined->append_from(next, 0, next->count);
            blocks_[at] = joined;
            drop_block(at + 1);
        } else {
            blocks_[at] = block->copy(arena_, 0, block->count, roomy(block->count));
        }
        Block::release(arena_, block);
    }

    void move_wide() {
        Block* block = blocks_[split_next_];
        Block* kept = block->copy(arena_, 0, 0, block->capacity());
        for (u32 i = 0; i < block->count; ++i) {
            const Posting posting = block->get(i);
            const float width = width_of(posting);
            if (width >= width_to_) {
                split_->insert(posting);
            } else {
                narrow_max_ = std::max(narrow_max_, width);
                kept->append(posting);
            }
        }
        count_ -= block->count - kept->count;
        blocks_[split_next_] = kept;
        Block::release(arena_, block);
        ++split_next_;
        if (kept->count == 0) {
            drop_block(split_next_ - 1);
        } else {
            set_first(split_next_ - 1);
        }
    }

    Arena& arena_;
    std::vector<float> firsts_;  // the lower end of each block's first posting
    std::vector<u32> first_members_;
    std::vector<Block*> blocks_;
    Kind kind_;
    float width_from_, width_to_;  // [from, to); to infinite: with infinite widths
    float width_max_ = 0;
    u32 count_ = 0;
    Stratum* split_ = nullptr;  // gets the wide ones while this one is split
    u32 split_next_ = 0;        // the first block that was not looked at
    float narrow_max_ = 0;
};

}  // namespace rigel::matching
