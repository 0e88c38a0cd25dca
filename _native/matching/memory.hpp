// Memory of the subscription index: arrays that never move, and an arena of small records.
//
// Plain doubling of an array of a million elements copies for tens of milliseconds; here growing
// copies nothing, so that no single insertion is long. Large pieces ask for huge pages: an event
// reads some hundred places far apart, and most of their cost would be misses of the TLB.
//
// For one thread at a time. Element types are plain data: they begin as zero bytes.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace rigel::matching {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

inline constexpr u32 NONE = 0xffffffffu;

inline constexpr std::size_t HUGE_PAGE_BYTES = std::size_t{1} << 21;

// Zeroed memory; of at least a huge page it is aligned to and made of such pages where the
// kernel has them, and untouched parts take no memory.
inline void* allocate_zeroed(std::size_t bytes) {
    if (bytes < HUGE_PAGE_BYTES) {
        void* plain = std::calloc(bytes, 1);
        if (plain == nullptr) throw std::bad_alloc();
        return plain;
    }
    const std::size_t mapped = bytes + HUGE_PAGE_BYTES;
    void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) throw std::bad_alloc();
    const auto begin = reinterpret_cast<std::uintptr_t>(raw);
    const std::uintptr_t aligned = (begin + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
    if (aligned != begin) munmap(raw, aligned - begin);
    const std::size_t behind = begin + mapped - (aligned + bytes);
    if (behind != 0) munmap(reinterpret_cast<void*>(aligned + bytes), behind);
    void* pages = reinterpret_cast<void*>(aligned);
    madvise(pages, bytes, MADV_HUGEPAGE);  // a wish: without it the index is slower, not wrong
    return pages;
}

inline void release_memory(void* memory, std::size_t bytes) noexcept {
    if (bytes < HUGE_PAGE_BYTES) {
        std::free(memory);
    } else {
        munmap(memory, bytes);
    }
}

// An array that grows by segments, each twice as large as the one before; the first one has
// 2^FIRST_BITS elements, few, as most tenants have few subscriptions. The kernel may take some
// milliseconds for a new huge page: arrays that grow together should differ in FIRST_BITS, so
// that they do not come to new pages with the same insertion.
template <class T, u32 FIRST_BITS = 6>
class Segments {
    static_assert(std::is_trivially_copyable_v<T>);
    static constexpr u32 FIRST = 1u << FIRST_BITS;

  public:
    static constexpr u32 MAX_SIZE = 1u << 31;

    Segments() = default;
    Segments(const Segments&) = delete;
    Segments& operator=(const Segments&) = delete;
    ~Segments() {
        for (u32 k = 0; k < SEGMENTS; ++k) {
            if (segments_[k] != nullptr) release_memory(segments_[k], bytes_of(k));
        }
    }

    u32 size() const { return size_; }

    T& operator[](u32 i) { return *address(i); }
    const T& operator[](u32 i) const { return *address(i); }
    void prefetch(u32 i) const { __builtin_prefetch(address(i)); }

    // The index of a new element of zero bytes. Throws std::bad_alloc with nothing changed.
    u32 append() {
        if (size_ >= MAX_SIZE) throw std::bad_alloc();
        const u32 segment = log2_of(size_ + FIRST) - FIRST_BITS;
        if (segments_[segment] == nullptr) {
            segments_[segment] = static_cast<T*>(allocate_zeroed(bytes_of(segment)));
        }
        return size_++;
    }

    std::size_t memory_bytes() const {
        return sizeof *this + static_cast<std::size_t>(size_) * sizeof(T);
    }

  private:
    static constexpr u32 SEGMENTS = 32 - FIRST_BITS;

    static u32 log2_of(u32 i) { return 31u - static_cast<u32>(__builtin_clz(i)); }
    static std::size_t bytes_of(u32 segment) {
        return (static_cast<std::size_t>(FIRST) << segment) * sizeof(T);
    }

    T* address(u32 i) const {
        const u32 place = i + FIRST;
        const u32 top = log2_of(place);
        return segments_[top - FIRST_BITS] + (place - (1u << top));
    }

    T* segments_[SEGMENTS] = {};
    u32 size_ = 0;
};

// Numbered elements that can be given back. T has `u32& free_link()`.
template <class T, u32 FIRST_BITS = 6>
class Pool {
  public:
    T& operator[](u32 i) { return elements_[i]; }
    const T& operator[](u32 i) const { return elements_[i]; }
    void prefetch(u32 i) const { elements_.prefetch(i); }

    // Elements ever made: numbers are below it.
    u32 bound() const { return elements_.size(); }
    u32 size() const { return elements_.size() - free_count_; }

    u32 take() {
        if (free_ == NONE) return elements_.append();
        const u32 i = free_;
        free_ = elements_[i].free_link();
        --free_count_;
        std::memset(static_cast<void*>(&elements_[i]), 0, sizeof(T));
        return i;
    }

    void give_back(u32 i) {
        std::memset(static_cast<void*>(&elements_[i]), 0, sizeof(T));
        elements_[i].free_link() = free_;
        free_ = i;
        ++free_count_;
    }

    std::size_t memory_bytes() const { return elements_.memory_bytes(); }

  private:
    Segments<T, FIRST_BITS> elements_;
    u32 free_ = NONE;
    u32 free_count_ = 0;
};

// Records of 8-byte words, addressed by the number of their first word (never 0). What is given
// back serves the next record of its size class; classes are never merged. Sizes are multiples of
// a unit of words, and records aligned to it.
class Arena {
    static constexpr u32 CHUNK_BITS = 18;  // 2 MiB: one huge page
    static constexpr u32 CHUNK = 1u << CHUNK_BITS;
    static constexpr std::size_t WORD = sizeof(u64);
    static constexpr std::size_t LINE_BYTES = 64;
    static constexpr u32 EXACT_CLASSES = 64;  // sizes up to this many units have their own class
    static constexpr u32 CLASSES = EXACT_CLASSES + 1 + 4 * 12;

  public:
    static constexpr u32 MAX_WORDS = CHUNK / 4;
    // Selectors keep kinds beside numbers of words, in two bits.
    static constexpr u64 MAX_ADDRESS = u64{1} << 30;

    explicit Arena(u32 unit = 1) : unit_(unit) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() {
        for (std::size_t i = 0; i < chunks_.size(); ++i) {
            ASAN_UNPOISON_MEMORY_REGION(chunks_[i], CHUNK * WORD);
            if (i == 0) {
                std::free(chunks_[i]);
            } else {
                release_memory(chunks_[i], CHUNK * WORD);
            }
        }
    }

    u64* at(u32 address) const {
        return chunks_[address >> CHUNK_BITS] + (address & (CHUNK - 1));
    }

    u32 take(u32 words) {
        if (words == 0 || words > MAX_WORDS) throw std::invalid_argument("a record is too large");
        const u32 size_class = class_of(words);
        const u32 size = words_of(size_class);
        u32 address = free_[size_class];
        if (address != 0) {
            ASAN_UNPOISON_MEMORY_REGION(at(address), size * WORD);
            free_[size_class] = static_cast<u32>(*at(address));
        } else {
            if (top_ + size > CHUNK) grow();
            address = static_cast<u32>((chunks_.size() - 1) * CHUNK) + top_;
            top_ += size;
            ASAN_UNPOISON_MEMORY_REGION(at(address), size * WORD);
        }
        used_words_ += size;
        return address;
    }

    // Words that a record of so many really has.
    u32 words_given(u32 words) const { return words_of(class_of(words)); }

    void give_back(u32 address, u32 words) {
        const u32 size_class = class_of(words);
        const u32 size = words_of(size_class);
        *at(address) = free_[size_class];
        free_[size_class] = address;
        used_words_ -= size;
        ASAN_POISON_MEMORY_REGION(at(address), size * WORD);
    }

    std::size_t used_bytes() const { return used_words_ * WORD; }
    // With what was given back and waits for records of its class.
    std::size_t memory_bytes() const {
        return chunks_.empty() ? 0 : ((chunks_.size() - 1) * CHUNK + top_) * WORD;
    }

  private:
    void grow() {
        if ((chunks_.size() + 1) * CHUNK > MAX_ADDRESS) throw std::bad_alloc();
        chunks_.reserve(chunks_.size() + 1);
        auto* chunk = static_cast<u64*>(
            // The first is of plain pages: most indexes never fill it.
            chunks_.empty() ? std::aligned_alloc(LINE_BYTES, CHUNK * WORD)
                            : allocate_zeroed(CHUNK * WORD));
        if (chunk == nullptr) throw std::bad_alloc();
        chunks_.push_back(chunk);
        top_ = chunks_.size() == 1 ? unit_ : 0;
        ASAN_POISON_MEMORY_REGION(chunk, CHUNK * WORD);
    }

    // Above the exact classes there are four to a power of two.
    u32 class_of(u32 words) const {
        const u32 units = (words + unit_ - 1) / unit_;
        if (units <= EXACT_CLASSES) return units;
        const u32 power = 31u - static_cast<u32>(__builtin_clz(units - 1));
        const u32 quarter = ((units - 1) >> (power - 2)) & 3;
        return EXACT_CLASSES + 1 + (power - 6) * 4 + quarter;
    }
    u32 words_of(u32 size_class) const {
        if (size_class <= EXACT_CLASSES) return size_class * unit_;
        const u32 above = size_class - EXACT_CLASSES - 1;
        const u32 power = above / 4 + 6;
        return ((1u << power) + (above % 4 + 1) * (1u << (power - 2))) * unit_;
    }

    u32 unit_;
    std::vector<u64*> chunks_;
    u32 top_ = CHUNK;
    std::size_t used_words_ = 0;
    u32 free_[CLASSES] = {};
};

}  // namespace rigel::matching
