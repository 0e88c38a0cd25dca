// An array that grows without moving what it holds: numbered cells of one plain type.
//
// Owns memory in segments, each twice as large as the one before. So growing copies nothing and
// takes no time that depends on the size; memory that no cell was taken of is reserved from the
// operating system but not touched. Cells given back are taken again first, and stay with the
// array until it is destroyed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace rigel::geoscope {

template <class Cell>
class Segments {
    static_assert(std::is_trivially_copyable_v<Cell> && std::is_trivially_destructible_v<Cell>);
    static_assert(sizeof(Cell) >= sizeof(std::uint32_t), "a free cell keeps the next one's number");

  public:
    Segments() = default;
    Segments(const Segments&) = delete;
    Segments& operator=(const Segments&) = delete;
    ~Segments() {
        for (Cell* segment : segments_) std::free(segment);
    }

    Cell& operator[](std::uint32_t i) { return *address(i); }
    const Cell& operator[](std::uint32_t i) const { return *address(i); }

    // Cells in use.
    std::size_t size() const { return std::size_t{taken_} - free_count_; }
    // Bytes of all cells that were ever in use.
    std::size_t memory_bytes() const { return std::size_t{taken_} * sizeof(Cell); }

    // Makes the next `count` calls of take succeed. Throws std::bad_alloc.
    void reserve(std::size_t count) {
        while (std::size_t{capacity_} - taken_ + free_count_ < count) {
            const std::size_t length = std::size_t{capacity_} + FIRST;
            if (length > LONGEST) throw std::bad_alloc();
            const std::size_t bytes = (length * sizeof(Cell) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
            void* memory = std::aligned_alloc(ALIGNMENT, bytes);
            if (memory == nullptr) throw std::bad_alloc();
            segments_[segment_of(capacity_ + FIRST)] = static_cast<Cell*>(memory);
            capacity_ += static_cast<std::uint32_t>(length);
        }
    }

    // The number of a cell, reserved before; what it holds is of no meaning.
    std::uint32_t take() {
        if (free_count_ == 0) return taken_++;
        const std::uint32_t i = free_;
        std::memcpy(&free_, static_cast<const void*>(address(i)), sizeof free_);
        --free_count_;
        return i;
    }

    void give_back(std::uint32_t i) {
        std::memcpy(static_cast<void*>(address(i)), &free_, sizeof free_);
        free_ = i;
        ++free_count_;
    }

    void swap(Segments& other) noexcept {
        std::swap(segments_, other.segments_);
        std::swap(taken_, other.taken_);
        std::swap(capacity_, other.capacity_);
        std::swap(free_, other.free_);
        std::swap(free_count_, other.free_count_);
    }

  private:
    static constexpr std::size_t ALIGNMENT = std::max(alignof(Cell), sizeof(void*));
    static constexpr std::uint32_t FIRST_BITS = 2;
    static constexpr std::uint32_t FIRST = 1u << FIRST_BITS;  // cells of the first segment
    static constexpr std::uint32_t LONGEST = 1u << 30;  // so that numbers fit in 31 bits

    static std::uint32_t segment_of(std::uint32_t from_first) {
        return 31u - FIRST_BITS - static_cast<std::uint32_t>(__builtin_clz(from_first));
    }

    Cell* address(std::uint32_t i) const {
        const std::uint32_t from_first = i + FIRST;
        const std::uint32_t segment = segment_of(from_first);
        return segments_[segment] + (from_first - (FIRST << segment));
    }

    Cell* segments_[31 - FIRST_BITS] = {};
    std::uint32_t taken_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t free_ = 0;  // the first of the chain of those given back
    std::uint32_t free_count_ = 0;
};

}  // namespace rigel::geoscope
