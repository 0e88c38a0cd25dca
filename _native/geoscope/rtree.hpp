// The R-tree of the geoscope index: which boxes meet a given box or point.
//
// Owns boxes and the 32-bit handles that they were given with, and nothing of what a handle
// stands for. It answers by boxes of 32-bit floats: whoever asks checks the exact shapes.
//
// A B+-tree over a key that is computed from each entry, whose nodes also keep the bounds of
// their entries (a dynamic Hilbert R-tree). The key is the class of the box's size, the place of
// its middle on a Hilbert curve, the handle and a digest of the box: so what lies together stands
// together, large boxes do not widen the nodes of small ones, and any number of entries in one
// place are told apart. Insertion and removal touch one node a level and never rebuild. No
// operation is longer than a few splits or merges of nodes of 32 entries, whatever the size.
//
// Costs with 1 000 000 entries: insert, remove and replace about 1 us, a search 1 to 2 us and what
// its hits cost. 25 to 45 bytes an entry.
//
// For one thread at a time; searches may run beside each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "geoscope/segments.hpp"

namespace rigel::geoscope {

// A closed range of longitudes and latitudes in degrees, west <= east and south <= north.
//
// Made of doubles by rounding each to the nearest float. Rounding is monotone: a <= b in doubles
// means that it holds for the floats too. So two boxes (or a box and a point) that meet still do
// after rounding, and no hit is lost; some that are up to 1 m apart are reported as well.
struct Box {
    float west, south, east, north;

    static Box of(double west, double south, double east, double north) {
        // + 0.0f turns -0.0 into 0.0, so that equal boxes have equal bits.
        return {static_cast<float>(west) + 0.0f, static_cast<float>(south) + 0.0f,
                static_cast<float>(east) + 0.0f, static_cast<float>(north) + 0.0f};
    }

    static Box at(double lon, double lat) { return of(lon, lat, lon, lat); }

    bool overlaps(const Box& other) const {
        return west <= other.east && other.west <= east && south <= other.north &&
               other.south <= north;
    }

    bool covers(const Box& other) const {
        return west <= other.west && other.east <= east && south <= other.south &&
               other.north <= north;
    }

    void extend(const Box& other) {
        west = std::min(west, other.west);
        south = std::min(south, other.south);
        east = std::max(east, other.east);
        north = std::max(north, other.north);
    }

    friend bool operator==(const Box& a, const Box& b) {
        return a.west == b.west && a.south == b.south && a.east == b.east && a.north == b.north;
    }
    friend bool operator!=(const Box& a, const Box& b) { return !(a == b); }
};

// Hilbert's curve by tables: steps of 4 bits of each coordinate.
struct HilbertSteps {
    static constexpr int BITS = 4;
    static constexpr unsigned MASK = (1u << BITS) - 1;

    // By state (1: both coordinates are complemented, 2: they are exchanged), bits of x, bits of
    // y: the next state above 8 bits of the place on the curve.
    std::uint16_t found[4u << 2 * BITS] = {};

    constexpr HilbertSteps() {
        for (unsigned entry = 0; entry < 4u << 2 * BITS; ++entry) {
            unsigned state = entry >> 2 * BITS, place = 0;
            for (int bit = BITS - 1; bit >= 0; --bit) {
                unsigned x = (entry >> (BITS + bit) & 1) ^ (state & 1);
                unsigned y = (entry >> bit & 1) ^ (state & 1);
                if (state & 2) {
                    const unsigned other = x;
                    x = y;
                    y = other;
                }
                place = place << 2 | ((3 * x) ^ y);
                if (y == 0) state ^= 2 | x;
            }
            found[entry] = static_cast<std::uint16_t>(state << 2 * BITS | place);
        }
    }
};

inline constexpr HilbertSteps HILBERT_STEPS;

// The place of a cell on the Hilbert curve through 2^bits by 2^bits cells; `bits` is a multiple
// of 4 and at most 32.
inline std::uint64_t hilbert_place(std::uint32_t x, std::uint32_t y, int bits) {
    constexpr int STEP = HilbertSteps::BITS;
    std::uint64_t place = 0;
    unsigned state = 0;
    for (int shift = bits - STEP; shift >= 0; shift -= STEP) {
        const unsigned cell =
            ((x >> shift & HilbertSteps::MASK) << STEP) | (y >> shift & HilbertSteps::MASK);
        const unsigned found = HILBERT_STEPS.found[state << 2 * STEP | cell];
        place = place << 2 * STEP | (found & 0xff);
        state = found >> 2 * STEP;
    }
    return place;
}

class RTree {
  public:
    static constexpr std::uint32_t FAN_OUT = 32;
    // Of each coordinate in the key: cells of 2 m, as fine as floats near 180 degrees.
    static constexpr int KEY_BITS = 24;

    RTree() = default;
    RTree(RTree&& other) noexcept { swap(other); }
    RTree& operator=(RTree&& other) noexcept {
        swap(other);
        return *this;
    }
    RTree(const RTree&) = delete;
    RTree& operator=(const RTree&) = delete;

    std::size_t size() const { return size_; }

    // Bytes of memory in use; what removals freed is kept for later insertions until the tree
    // is empty.
    std::size_t memory_bytes() const {
        return sizeof *this + leaves_.memory_bytes() + branches_.memory_bytes();
    }

    // Throws std::invalid_argument unless west <= east and south <= north.
    static void require_valid(const Box& box) {
        if (!(box.west <= box.east && box.south <= box.north)) {
            throw std::invalid_argument("a box with west > east, south > north or no number");
        }
    }

    // Makes the next `count` insertions and replacements succeed. Throws std::bad_alloc, or
    // std::length_error for a tree that is full (2^28 entries).
    void reserve(std::size_t count) {
        if (size_ + count > MOST_ENTRIES || height_ >= MAX_HEIGHT) {
            throw std::length_error("the tree has as many entries as it can");
        }
        leaves_.reserve(count);
        // One insertion splits a node a level at most; the tree may grow between several.
        branches_.reserve(count == 1 ? height_ : std::size_t{count} * MAX_HEIGHT);
    }

    // Adds an entry; a handle may have several, equal ones too. Throws as reserve and
    // require_valid do; nothing is changed then.
    void insert(std::uint32_t handle, const Box& box) {
        require_valid(box);
        reserve(1);
        insert_reserved(handle, box);
    }

    // Removes one entry of exactly this handle and box; false if there is none.
    bool remove(std::uint32_t handle, const Box& box) {
        Path path;
        if (root_ == NOTHING || !locate(root_, make_key(box, handle), handle, box, path)) {
            return false;
        }
        remove_at(path);
        return true;
    }

    // Gives one entry of a handle another box; false if there is none. One that moves by little
    // mostly stays in its node, which costs less than remove and insert. Throws as insert does.
    bool replace(std::uint32_t handle, const Box& old_box, const Box& new_box) {
        require_valid(new_box);
        reserve(1);
        Path path;
        if (root_ == NOTHING || !locate(root_, make_key(old_box, handle), handle, old_box, path)) {
            return false;
        }
        if (path.holds(make_key(new_box, handle))) {
            Leaf& leaf = leaves_[path.leaf >> 1];
            leaf.set(path.entry, new_box, handle);
            update_bounds(path, path.depth, leaf.bounds());
        } else {
            remove_at(path);
            insert_reserved(handle, new_box);
        }
        return true;
    }

    // Calls visit(handle) for every entry whose box meets `box`, in no certain order, once for
    // each entry. `visit` must not change the tree.
    template <class Visit>
    void search(const Box& box, Visit&& visit) const {
        search_some(box, [&visit](std::uint32_t handle) {
            visit(handle);
            return true;
        });
    }

    // As search, until visit(handle) returns false; whether it never did.
    template <class Visit>
    bool search_some(const Box& box, Visit&& visit) const {
        if (root_ == NOTHING) return true;
        Ref pending[MAX_HEIGHT * FAN_OUT];
        std::uint32_t count = 0;
        pending[count++] = root_;
        while (count != 0) {
            const Ref at = pending[--count];
            if (is_leaf(at)) {
                const Leaf& leaf = leaves_[at >> 1];
                for (std::uint32_t hits = leaf.meeting(box); hits != 0; hits &= hits - 1) {
                    if (!visit(leaf.ref[__builtin_ctz(hits)])) return false;
                }
            } else {
                const Branch& branch = branches_[at >> 1];
                for (std::uint32_t hits = branch.meeting(box); hits != 0; hits &= hits - 1) {
                    const Ref child = branch.ref[__builtin_ctz(hits)];
                    prefetch(child);
                    pending[count++] = child;
                }
            }
        }
        return true;
    }

    // As search, for the entries whose boxes have the point.
    template <class Visit>
    void search_point(double lon, double lat, Visit&& visit) const {
        search(Box::at(lon, lat), std::forward<Visit>(visit));
    }

    // Calls visit(handle, box) for every entry, in no certain order.
    template <class Visit>
    void for_each(Visit&& visit) const {
        if (root_ != NOTHING) for_each_below(root_, visit);
    }

    // Removes all entries and gives their memory back.
    void clear() noexcept {
        RTree empty;
        swap(empty);
    }

    // What is wrong with the structure, empty if nothing is. Visits everything.
    std::string check() const {
        if (root_ == NOTHING) {
            return size_ == 0 && height_ == 0 ? "" : "an empty tree has a size or height";
        }
        Census census;
        Box bounds{};
        std::string fault = check_below(root_, height_, LOWEST, HIGHEST, census, bounds);
        if (!fault.empty()) return fault;
        if (census.entries != size_) return "the number of entries is not the size";
        if (census.leaves != leaves_.size() || census.branches != branches_.size()) {
            return "nodes are neither free nor in the tree";
        }
        return "";
    }

  private:
    // A node: its number among those of its kind times 2, plus 1 for leaves.
    using Ref = std::uint32_t;
    static constexpr Ref NOTHING = 0xffffffffu;
    // So that numbers of nodes, at eight entries a node and more, fit in 31 bits in any case.
    static constexpr std::size_t MOST_ENTRIES = std::size_t{1} << 28;
    // Levels: two neighbours have 16 entries or more together (see remove_at), so that many
    // entries need 11 levels at most.
    static constexpr std::uint32_t MAX_HEIGHT = 16;
    // A node with fewer entries is joined with a neighbour if both together have at most
    // JOINED_COUNT: well below the fan-out, so that the next insertion does not split it again.
    static constexpr std::uint32_t LOW_COUNT = FAN_OUT / 4;
    static constexpr std::uint32_t JOINED_COUNT = FAN_OUT * 3 / 4;
    // Entries that stay in a full node when the new one is the last: keys that come in order
    // (growing handles in one place) leave nodes nearly full behind them.
    static constexpr std::uint32_t KEPT_IN_ORDER = FAN_OUT * 7 / 8;

    struct Key {
        std::uint64_t place;  // class of size, position on the curve
        std::uint64_t entry;  // handle, digest of the box

        friend bool operator<(const Key& a, const Key& b) {
            return a.place != b.place ? a.place < b.place : a.entry < b.entry;
        }
        friend bool operator<=(const Key& a, const Key& b) { return !(b < a); }
    };
    static constexpr Key LOWEST{0, 0};
    static constexpr Key HIGHEST{~std::uint64_t{0}, ~std::uint64_t{0}};

    // Boxes in columns, so that all are compared at once.
    struct Entries {
        alignas(64) float west[FAN_OUT];
        float south[FAN_OUT];
        float east[FAN_OUT];
        float north[FAN_OUT];
        std::uint32_t ref[FAN_OUT];  // handles in a leaf, children in a branch
        std::uint32_t count;

        Box box(std::uint32_t i) const { return {west[i], south[i], east[i], north[i]}; }

        void set_box(std::uint32_t i, const Box& box) {
            west[i] = box.west;
            south[i] = box.south;
            east[i] = box.east;
            north[i] = box.north;
        }

        void set(std::uint32_t i, const Box& box, std::uint32_t child) {
            set_box(i, box);
            ref[i] = child;
        }

        Box bounds() const {
            Box all = box(0);
            for (std::uint32_t i = 1; i < count; ++i) all.extend(box(i));
            return all;
        }

        // One bit for each entry that meets the box.
        std::uint32_t meeting(const Box& box) const {
            std::uint32_t hits = 0;
#if defined(__SSE2__)
            const __m128 w = _mm_set1_ps(box.west), s = _mm_set1_ps(box.south);
            const __m128 e = _mm_set1_ps(box.east), n = _mm_set1_ps(box.north);
            for (std::uint32_t i = 0; i < FAN_OUT; i += 4) {
                const __m128 lon = _mm_and_ps(_mm_cmple_ps(_mm_load_ps(west + i), e),
                                              _mm_cmpge_ps(_mm_load_ps(east + i), w));
                const __m128 lat = _mm_and_ps(_mm_cmple_ps(_mm_load_ps(south + i), n),
                                              _mm_cmpge_ps(_mm_load_ps(north + i), s));
                hits |= static_cast<std::uint32_t>(_mm_movemask_ps(_mm_and_ps(lon, lat))) << i;
            }
#else
            for (std::uint32_t i = 0; i < FAN_OUT; ++i) {
                const bool hit = (west[i] <= box.east) & (east[i] >= box.west) &
                                 (south[i] <= box.north) & (north[i] >= box.south);
                hits |= static_cast<std::uint32_t>(hit) << i;
            }
#endif
            // What stands behind the last entry is of no meaning.
            return count < FAN_OUT ? hits & ((1u << count) - 1) : hits;
        }
    };

    struct Leaf : Entries {
        void append(const Box& box, std::uint32_t handle) { set(count++, box, handle); }

        void erase(std::uint32_t i) {
            --count;
            if (i != count) set(i, box(count), ref[count]);
        }
    };

    struct Branch : Entries {
        // Keys below child i are at least low[i] (the first one's are not bounded by its own)
        // and at most low[i + 1].
        Key low[FAN_OUT];

        // The last child that may have the key.
        std::uint32_t child_of(const Key& key) const {
            const Key* found = std::upper_bound(low + 1, low + count, key);
            return static_cast<std::uint32_t>(found - low) - 1;
        }

        void set_child(std::uint32_t i, const Box& box, Ref child, const Key& key) {
            set(i, box, child);
            low[i] = key;
        }

        void insert(std::uint32_t i, const Box& box, Ref child, const Key& key) {
            move_tail(i, i + 1);
            ++count;
            set_child(i, box, child, key);
        }

        void erase(std::uint32_t i) {
            move_tail(i + 1, i);
            --count;
        }

      private:
        void move_tail(std::uint32_t from, std::uint32_t to) {
            const std::size_t length = count - from;
            std::memmove(west + to, west + from, length * sizeof *west);
            std::memmove(south + to, south + from, length * sizeof *south);
            std::memmove(east + to, east + from, length * sizeof *east);
            std::memmove(north + to, north + from, length * sizeof *north);
            std::memmove(ref + to, ref + from, length * sizeof *ref);
            std::memmove(low + to, low + from, length * sizeof *low);
        }
    };

    // The way from the root to an entry.
    struct Path {
        Branch* branches[MAX_HEIGHT];
        std::uint32_t children[MAX_HEIGHT];
        std::uint32_t depth = 0;
        Ref leaf = NOTHING;
        std::uint32_t entry = 0;

        void push(Branch& branch, std::uint32_t child) {
            branches[depth] = &branch;
            children[depth] = child;
            ++depth;
        }

        // Whether the leaf is where the key belongs.
        bool holds(const Key& key) const {
            for (std::uint32_t level = 0; level < depth; ++level) {
                const Branch& branch = *branches[level];
                const std::uint32_t i = children[level];
                if (i > 0 && key < branch.low[i]) return false;
                if (i + 1 < branch.count && branch.low[i + 1] <= key) return false;
            }
            return true;
        }
    };

    struct Census {
        std::size_t entries = 0, leaves = 0, branches = 0;
    };

    static bool is_leaf(Ref ref) { return ref & 1; }

    static Key make_key(const Box& box, std::uint32_t handle) {
        const std::uint64_t x = cell((double{box.west} + box.east) * 0.5, 180.0);
        const std::uint64_t y = cell((double{box.south} + box.north) * 0.5, 90.0);
        const std::uint64_t place =
            hilbert_place(static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), KEY_BITS);
        return {size_class(box) << 2 * KEY_BITS | place,
                std::uint64_t{handle} << 32 | digest(box)};
    }

    // Positions outside of the earth count as on its edge: that is worse in speed only.
    static std::uint64_t cell(double degrees, double half) {
        constexpr double CELLS = std::uint64_t{1} << KEY_BITS;
        const double at = (degrees + half) * (CELLS / (2.0 * half));
        if (!(at > 0.0)) return 0;
        return static_cast<std::uint64_t>(std::min(at, CELLS - 1.0));
    }

    // 0 for points, then from houses over districts, cities and countries to continents.
    static std::uint64_t size_class(const Box& box) {
        const float extent = std::max(box.east - box.west, box.north - box.south);
        if (extent <= 0.0f) return 0;
        std::uint64_t found = 1;
        for (const float limit : {0.004f, 0.02f, 0.1f, 0.8f, 8.0f}) found += extent >= limit;
        return found;
    }

    static std::uint32_t digest(const Box& box) {
        const float numbers[4] = {box.west + 0.0f, box.south + 0.0f, box.east + 0.0f,
                                  box.north + 0.0f};
        std::uint64_t halves[2];
        std::memcpy(halves, numbers, sizeof halves);
        const std::uint64_t mixed =
            (halves[0] * 0x9e3779b97f4a7c15u) ^ (halves[1] * 0xc2b2ae3d27d4eb4fu);
        return static_cast<std::uint32_t>(mixed >> 32);
    }

    void swap(RTree& other) noexcept {
        leaves_.swap(other.leaves_);
        branches_.swap(other.branches_);
        std::swap(root_, other.root_);
        std::swap(height_, other.height_);
        std::swap(size_, other.size_);
    }

    void prefetch(Ref ref) const {
        const char* node = is_leaf(ref) ? reinterpret_cast<const char*>(&leaves_[ref >> 1])
                                        : reinterpret_cast<const char*>(&branches_[ref >> 1]);
        for (std::size_t at = 0; at < sizeof(Entries); at += 64) __builtin_prefetch(node + at);
    }

    void insert_reserved(std::uint32_t handle, const Box& box) {
        ++size_;
        if (root_ == NOTHING) {
            const std::uint32_t i = leaves_.take();
            leaves_[i].count = 0;
            leaves_[i].append(box, handle);
            root_ = i << 1 | 1;
            height_ = 1;
            return;
        }
        const Key key = make_key(box, handle);
        Path path;
        Ref at = root_;
        while (!is_leaf(at)) {
            Branch& branch = branches_[at >> 1];
            const std::uint32_t i = branch.child_of(key);
            Box bounds = branch.box(i);
            bounds.extend(box);
            branch.set_box(i, bounds);
            path.push(branch, i);
            at = branch.ref[i];
        }
        Leaf& leaf = leaves_[at >> 1];
        if (leaf.count < FAN_OUT) {
            leaf.append(box, handle);
        } else {
            split(path, at, key, box, handle);
        }
    }

    // Splits a full leaf that gets one more entry, and the full branches above it.
    void split(Path& path, Ref left_ref, const Key& key, const Box& box, std::uint32_t handle) {
        struct Item {
            Key key;
            Box box;
            std::uint32_t ref;
        };
        Item items[FAN_OUT + 1];
        Leaf& left = leaves_[left_ref >> 1];
        for (std::uint32_t i = 0; i < FAN_OUT; ++i) {
            items[i] = {make_key(left.box(i), left.ref[i]), left.box(i), left.ref[i]};
        }
        items[FAN_OUT] = {key, box, handle};
        const bool last = std::none_of(items, items + FAN_OUT,
                                       [&key](const Item& item) { return key < item.key; });
        std::sort(items, items + FAN_OUT + 1,
                  [](const Item& a, const Item& b) { return a.key < b.key; });
        const std::uint32_t right_index = leaves_.take();
        Leaf& right = leaves_[right_index];
        left.count = right.count = 0;
        std::uint32_t kept = last ? KEPT_IN_ORDER : (FAN_OUT + 1) / 2;
        for (std::uint32_t i = 0; i < kept; ++i) left.append(items[i].box, items[i].ref);
        for (std::uint32_t i = kept; i <= FAN_OUT; ++i) right.append(items[i].box, items[i].ref);

        // The new child that goes behind child i of the branch above, and the bounds of that one.
        Item added{items[kept].key, right.bounds(), right_index << 1 | 1};
        Box left_bounds = left.bounds();
        while (path.depth != 0) {
            --path.depth;
            Branch& branch = *path.branches[path.depth];
            const std::uint32_t i = path.children[path.depth];
            branch.set_box(i, left_bounds);
            if (branch.count < FAN_OUT) {
                branch.insert(i + 1, added.box, added.ref, added.key);
                return;
            }
            std::uint32_t count = 0;
            for (std::uint32_t j = 0; j < FAN_OUT; ++j) {
                items[count++] = {branch.low[j], branch.box(j), branch.ref[j]};
                if (j == i) items[count++] = added;
            }
            kept = i + 1 == FAN_OUT ? KEPT_IN_ORDER : (FAN_OUT + 1) / 2;
            const std::uint32_t new_index = branches_.take();
            Branch& behind = branches_[new_index];
            branch.count = kept;
            behind.count = FAN_OUT + 1 - kept;
            for (std::uint32_t j = 0; j < kept; ++j) {
                branch.set_child(j, items[j].box, items[j].ref, items[j].key);
            }
            for (std::uint32_t j = kept; j <= FAN_OUT; ++j) {
                behind.set_child(j - kept, items[j].box, items[j].ref, items[j].key);
            }
            left_bounds = branch.bounds();
            added = {behind.low[0], behind.bounds(), new_index << 1};
        }
        const std::uint32_t top_index = branches_.take();
        Branch& top = branches_[top_index];
        top.count = 2;
        top.set_child(0, left_bounds, root_, LOWEST);
        top.set_child(1, added.box, added.ref, added.key);
        root_ = top_index << 1;
        ++height_;
    }

    // Looks for the entry below a node. Only where equal keys stand on both sides of a border
    // between nodes is there more than one way.
    bool locate(Ref at, const Key& key, std::uint32_t handle, const Box& box, Path& path) {
        if (is_leaf(at)) {
            const Leaf& leaf = leaves_[at >> 1];
            for (std::uint32_t i = 0; i < leaf.count; ++i) {
                if (leaf.ref[i] == handle && leaf.box(i) == box) {
                    path.leaf = at;
                    path.entry = i;
                    return true;
                }
            }
            return false;
        }
        Branch& branch = branches_[at >> 1];
        for (std::uint32_t i = branch.child_of(key);; --i) {
            path.push(branch, i);
            if (locate(branch.ref[i], key, handle, box, path)) return true;
            --path.depth;
            if (i == 0 || branch.low[i] < key) return false;
        }
    }

    // Sets the bounds of a child at `depth` and, as far as that changes anything, above it.
    void update_bounds(const Path& path, std::uint32_t depth, Box bounds) {
        while (depth != 0) {
            --depth;
            Branch& branch = *path.branches[depth];
            const std::uint32_t i = path.children[depth];
            if (branch.box(i) == bounds) return;
            branch.set_box(i, bounds);
            bounds = branch.bounds();
        }
    }

    void remove_at(const Path& path) {
        --size_;
        Leaf& leaf = leaves_[path.leaf >> 1];
        leaf.erase(path.entry);
        std::uint32_t depth = path.depth;
        std::uint32_t count = leaf.count;
        Box bounds = count != 0 ? leaf.bounds() : Box{};
        bool bottom = true;
        // Upwards as long as a node was freed or joined, so that its parent has a child less.
        while (depth != 0 && count < LOW_COUNT) {
            Branch& parent = *path.branches[depth - 1];
            const std::uint32_t i = path.children[depth - 1];
            if (count == 0) {
                const std::uint32_t index = parent.ref[i] >> 1;
                bottom ? leaves_.give_back(index) : branches_.give_back(index);
                parent.erase(i);
            } else {
                parent.set_box(i, bounds);
                if (!(bottom ? join(leaves_, parent, i) : join(branches_, parent, i))) break;
            }
            --depth;
            count = parent.count;
            bounds = count != 0 ? parent.bounds() : Box{};
            bottom = false;
        }
        if (depth != 0) {
            // The box of the child may be set already; those above it are not.
            path.branches[depth - 1]->set_box(path.children[depth - 1], bounds);
            update_bounds(path, depth - 1, path.branches[depth - 1]->bounds());
        }
        shrink();
    }

    // Joins child i of a branch with a neighbour if both together are small enough.
    template <class Node>
    bool join(Segments<Node>& nodes, Branch& parent, std::uint32_t i) {
        const auto count = [&](std::uint32_t child) { return nodes[parent.ref[child] >> 1].count; };
        if (i + 1 < parent.count && count(i) + count(i + 1) <= JOINED_COUNT) {
            // with the one behind it
        } else if (i > 0 && count(i - 1) + count(i) <= JOINED_COUNT) {
            --i;
        } else {
            return false;
        }
        Node& left = nodes[parent.ref[i] >> 1];
        Node& right = nodes[parent.ref[i + 1] >> 1];
        for (std::uint32_t j = 0; j < right.count; ++j) {
            if constexpr (std::is_same_v<Node, Branch>) {
                // The key of the first child is bounded by what the parent says.
                const Key& low = j == 0 ? parent.low[i + 1] : right.low[j];
                left.set_child(left.count + j, right.box(j), right.ref[j], low);
            } else {
                left.set(left.count + j, right.box(j), right.ref[j]);
            }
        }
        left.count += right.count;
        Box bounds = parent.box(i);
        bounds.extend(parent.box(i + 1));
        parent.set_box(i, bounds);
        nodes.give_back(parent.ref[i + 1] >> 1);
        parent.erase(i + 1);
        return true;
    }

    // Takes away roots that have no entry or one child.
    void shrink() {
        if (size_ == 0) {
            clear();
            return;
        }
        while (!is_leaf(root_) && branches_[root_ >> 1].count == 1) {
            const std::uint32_t old = root_ >> 1;
            root_ = branches_[old].ref[0];
            branches_.give_back(old);
            --height_;
        }
    }

    template <class Visit>
    void for_each_below(Ref at, Visit& visit) const {
        if (is_leaf(at)) {
            const Leaf& leaf = leaves_[at >> 1];
            for (std::uint32_t i = 0; i < leaf.count; ++i) visit(leaf.ref[i], leaf.box(i));
        } else {
            const Branch& branch = branches_[at >> 1];
            for (std::uint32_t i = 0; i < branch.count; ++i) for_each_below(branch.ref[i], visit);
        }
    }

    std::string check_below(Ref at, std::uint32_t levels, const Key& low, const Key& high,
                            Census& census, Box& bounds) const {
        if (levels == 0 || is_leaf(at) != (levels == 1)) return "leaves are not on one level";
        const Entries& entries = is_leaf(at) ? static_cast<const Entries&>(leaves_[at >> 1])
                                             : static_cast<const Entries&>(branches_[at >> 1]);
        if (entries.count == 0 || entries.count > FAN_OUT) return "a node is empty or too full";
        bounds = entries.bounds();
        if (is_leaf(at)) {
            ++census.leaves;
            census.entries += entries.count;
            for (std::uint32_t i = 0; i < entries.count; ++i) {
                const Key key = make_key(entries.box(i), entries.ref[i]);
                if (key < low || high < key) return "an entry is in a leaf of other keys";
            }
            return "";
        }
        const Branch& branch = branches_[at >> 1];
        ++census.branches;
        for (std::uint32_t i = 0; i < branch.count; ++i) {
            const Key& first = i == 0 ? low : branch.low[i];
            const Key& last = i + 1 == branch.count ? high : branch.low[i + 1];
            if (first < low || high < last || last < first) {
                return "keys of a branch are not in order";
            }
            Box below{};
            std::string fault = check_below(branch.ref[i], levels - 1, first, last, census, below);
            if (!fault.empty()) return fault;
            if (below != branch.box(i)) return "bounds are not those of the entries";
        }
        return "";
    }

    Segments<Leaf> leaves_;
    Segments<Branch> branches_;
    Ref root_ = NOTHING;
    std::uint32_t height_ = 0;  // levels of nodes
    std::size_t size_ = 0;
};

}  // namespace rigel::geoscope
