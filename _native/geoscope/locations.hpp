// Which of many things are where: 64-bit handles and the boxes that each lies in.
//
// Owns the handles, their boxes and the R-tree over the boxes; nothing of what a handle stands
// for. A handle has any number of boxes (one or more). Each box is a record, whose number is
// what the tree knows; the first record of a handle is found by a hash table that grows by one
// bucket at a time (linear hashing), so that no insertion waits for all others to be moved.
//
// Costs are those of the tree (rtree.hpp) and one look-up; 70 bytes for a handle in one place.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "geoscope/rtree.hpp"
#include "geoscope/segments.hpp"

namespace rigel::geoscope {

class Locations {
  public:
    // Handles in the index.
    std::size_t size() const { return size_; }

    std::size_t memory_bytes() const {
        return sizeof *this + tree_.memory_bytes() + records_.memory_bytes() +
               buckets_.memory_bytes();
    }

    bool contains(std::uint64_t handle) const { return find(handle) != NOTHING; }

    // Adds a handle with its boxes (one or more); false, with nothing changed, if it is there.
    // Throws what RTree::insert does, with nothing changed.
    bool insert(std::uint64_t handle, const std::vector<Box>& boxes) {
        if (find(handle) != NOTHING) return false;
        reserve(boxes);
        insert_reserved(handle, boxes);
        return true;
    }

    // Takes a handle out; false if it is not there.
    bool remove(std::uint64_t handle) {
        std::uint32_t record = unlink(handle);
        if (record == NOTHING) return false;
        --size_;
        while (record != NOTHING) {
            const std::uint32_t next = records_[record].next_box;
            drop(record);
            record = next;
        }
        if (size_ == 0) clear();
        return true;
    }

    // Gives a handle other boxes (one or more); false if it is not there. Boxes that stay cost
    // nothing, those that move by little cost little. Throws as insert does.
    bool replace(std::uint64_t handle, const std::vector<Box>& boxes) {
        std::uint32_t record = find(handle);
        if (record == NOTHING) return false;
        reserve(boxes);
        std::size_t i = 0;
        for (;; record = records_[record].next_box) {
            Record& kept = records_[record];
            const Box& box = boxes[i++];
            if (kept.box != box) {
                tree_.replace(record, kept.box, box);
                kept.box = box;
            }
            if (i == boxes.size() || kept.next_box == NOTHING) break;
        }
        std::uint32_t surplus = records_[record].next_box;
        records_[record].next_box = NOTHING;
        while (surplus != NOTHING) {
            const std::uint32_t next = records_[surplus].next_box;
            drop(surplus);
            surplus = next;
        }
        for (; i < boxes.size(); ++i) {
            const std::uint32_t added = add(handle, boxes[i]);
            records_[record].next_box = added;
            record = added;
        }
        return true;
    }

    // The handles with a box that meets one of `boxes`, in ascending order, each once. False,
    // with only some of them in no order, as soon as the tree has more than `limit` such boxes.
    bool search(const std::vector<Box>& boxes, std::size_t limit,
                std::vector<std::uint64_t>& found) const {
        found.clear();
        for (const Box& box : boxes) {
            const bool whole = tree_.search_some(box, [&](std::uint32_t record) {
                found.push_back(record);
                return found.size() <= limit;
            });
            if (!whole) return false;
        }
        for (std::uint64_t& item : found) item = records_[static_cast<std::uint32_t>(item)].handle;
        std::sort(found.begin(), found.end());
        if (boxes.size() > 1 || tree_.size() > size_) {
            found.erase(std::unique(found.begin(), found.end()), found.end());
        }
        return true;
    }

    // Removes all handles and gives their memory back.
    void clear() noexcept {
        tree_.clear();
        Segments<Record>().swap(records_);
        Segments<std::uint32_t>().swap(buckets_);
        bucket_count_ = 0;
        round_ = 1;
        size_ = 0;
    }

    // What is wrong with the structure, empty if nothing is. Visits everything.
    std::string check() const {
        std::string fault = tree_.check();
        if (!fault.empty()) return fault;
        if (records_.size() != tree_.size()) return "records and entries of the tree differ";
        std::size_t wrong = 0;
        tree_.for_each([&](std::uint32_t record, const Box& box) {
            wrong += records_[record].box != box;
        });
        if (wrong != 0) return "a record has another box than the tree";
        std::size_t handles = 0, boxes = 0;
        for (std::uint32_t bucket = 0; bucket < bucket_count_; ++bucket) {
            std::uint32_t record = buckets_[bucket];
            for (; record != NOTHING; record = records_[record].next_handle) {
                const std::uint64_t handle = records_[record].handle;
                if (bucket_of(handle) != bucket) return "a handle is in a wrong bucket";
                if (find(handle) != record) return "a handle is there twice";
                ++handles;
                std::uint32_t part = record;
                for (; part != NOTHING; part = records_[part].next_box) {
                    if (records_[part].handle != handle) return "a box has another handle";
                    if (++boxes > records_.size()) return "boxes are there twice";
                }
            }
        }
        if (handles != size_) return "the number of handles is not the size";
        if (boxes != records_.size()) return "a record belongs to no handle";
        return "";
    }

  private:
    static constexpr std::uint32_t NOTHING = std::numeric_limits<std::uint32_t>::max();

    struct Record {
        std::uint64_t handle;
        Box box;
        std::uint32_t next_box;     // of the same handle
        std::uint32_t next_handle;  // in the same bucket; for the first box of a handle only
    };

    std::uint32_t bucket_of(std::uint64_t handle) const {
        // The upper half of a product depends on all bits (Fibonacci hashing).
        const std::uint64_t product = handle * 0x9e3779b97f4a7c15u;
        const auto hash = static_cast<std::uint32_t>(product >> 32);
        // Buckets below those of the next power of two that were split already.
        const std::uint32_t wide = hash & (2 * round_ - 1);
        return wide < bucket_count_ ? wide : hash & (round_ - 1);
    }

    std::uint32_t find(std::uint64_t handle) const {
        if (bucket_count_ == 0) return NOTHING;
        std::uint32_t record = buckets_[bucket_of(handle)];
        while (record != NOTHING && records_[record].handle != handle) {
            record = records_[record].next_handle;
        }
        return record;
    }

    // Takes the first record of a handle out of its bucket; NOTHING if there is none.
    std::uint32_t unlink(std::uint64_t handle) {
        if (bucket_count_ == 0) return NOTHING;
        std::uint32_t* link = &buckets_[bucket_of(handle)];
        while (*link != NOTHING && records_[*link].handle != handle) {
            link = &records_[*link].next_handle;
        }
        const std::uint32_t record = *link;
        if (record != NOTHING) *link = records_[record].next_handle;
        return record;
    }

    // All that changes need, so that they do not fail half-way.
    void reserve(const std::vector<Box>& boxes) {
        for (const Box& box : boxes) RTree::require_valid(box);
        tree_.reserve(boxes.size());
        records_.reserve(boxes.size());
        buckets_.reserve(1);
    }

    void insert_reserved(std::uint64_t handle, const std::vector<Box>& boxes) {
        if (size_ == bucket_count_) add_bucket();
        ++size_;
        std::uint32_t next = NOTHING;
        for (std::size_t i = boxes.size(); i-- != 0;) {
            const std::uint32_t record = add(handle, boxes[i]);
            records_[record].next_box = next;
            next = record;
        }
        std::uint32_t& bucket = buckets_[bucket_of(handle)];
        records_[next].next_handle = bucket;
        bucket = next;
    }

    std::uint32_t add(std::uint64_t handle, const Box& box) {
        const std::uint32_t record = records_.take();
        records_[record] = {handle, box, NOTHING, NOTHING};
        tree_.insert(record, box);
        return record;
    }

    void drop(std::uint32_t record) {
        tree_.remove(record, records_[record].box);
        records_.give_back(record);
    }

    // Adds a bucket, which takes its handles from the one that it is split off.
    void add_bucket() {
        const std::uint32_t added = buckets_.take();
        buckets_[added] = NOTHING;
        bucket_count_ = added + 1;
        if (added == 0) return;
        if (added == 2 * round_) round_ *= 2;
        std::uint32_t* link = &buckets_[added - round_];
        while (*link != NOTHING) {
            const std::uint32_t record = *link;
            std::uint32_t& next = records_[record].next_handle;
            if (bucket_of(records_[record].handle) == added) {
                *link = next;
                next = buckets_[added];
                buckets_[added] = record;
            } else {
                link = &next;
            }
        }
    }

    RTree tree_;
    Segments<Record> records_;
    Segments<std::uint32_t> buckets_;  // the first record of each
    std::uint32_t bucket_count_ = 0;
    std::uint32_t round_ = 1;  // the largest power of two up to the number of buckets
    std::size_t size_ = 0;
};

}  // namespace rigel::geoscope
