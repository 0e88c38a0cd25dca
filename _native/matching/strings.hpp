// Texts by number: each distinct text is kept once, as long as something refers to it.
//
// Entity ids, types, operands and service paths of all subscriptions share one table: a text
// that is in no subscription has no number, so an event that brings it needs no comparison.
// The number is the address of its record in the arena, so below Arena::MAX_ADDRESS and never 0.
//
// Costs: find two or three cache misses, acquire and release the same. 12 bytes a text beside its
// bytes and 17 in the table.
#pragma once

#include <string_view>

#include "matching/hash_table.hpp"
#include "matching/memory.hpp"

namespace rigel::matching {

class Strings {
  public:
    static constexpr std::size_t MAX_BYTES = 1 << 18;  // as the arena has room for

    Strings(Arena& arena, Arena& blocks, u64 seed)
        : arena_(arena), table_(blocks, seed), seed_(seed) {}

    std::size_t size() const { return size_; }

    std::string_view text(u32 number) const {
        const auto* header = header_of(number);
        return {reinterpret_cast<const char*>(header + 1), header->length};
    }

    // The number of the text, 0 if nothing refers to it.
    u32 find(std::string_view text) const {
        const u32* first = table_.find(hash_text(seed_, text));
        for (u32 at = first == nullptr ? 0 : *first; at != 0; at = header_of(at)->next) {
            if (this->text(at) == text) return at;
        }
        return 0;
    }

    // The number of the text with one more reference to it. Throws std::invalid_argument.
    u32 acquire(std::string_view text) {
        if (text.size() > MAX_BYTES) throw std::invalid_argument("a text is too long");
        if (const u32 known = find(text)) {
            ++header_of(known)->references;
            return known;
        }
        const u32 number = arena_.take(words_of(text.size()));
        auto* header = header_of(number);
        header->references = 1;
        header->length = static_cast<u32>(text.size());
        header->next = 0;
        std::memcpy(static_cast<void*>(header + 1), text.data(), text.size());
        const u64 hash = hash_text(seed_, text);
        if (u32* first = table_.find(hash)) {  // two texts with one hash
            header->next = *first;
            *first = number;
        } else {
            table_.insert(hash, number);
        }
        ++size_;
        return number;
    }

    void add_reference(u32 number) { ++header_of(number)->references; }

    void release(u32 number) {
        auto* header = header_of(number);
        if (--header->references != 0) return;
        const u64 hash = hash_text(seed_, text(number));
        u32* link = table_.find(hash);
        if (*link == number && header->next == 0) {
            table_.erase(hash);
        } else {
            while (*link != number) link = &header_of(*link)->next;
            *link = header->next;
        }
        arena_.give_back(number, words_of(header->length));
        --size_;
    }

    u32 references(u32 number) const { return header_of(number)->references; }

    template <class Visit>
    void for_each(Visit&& visit) const {
        table_.for_each([&](u64, u32 first) {
            for (u32 at = first; at != 0; at = header_of(at)->next) visit(at);
        });
    }

    std::size_t memory_bytes() const { return table_.memory_bytes(); }  // without the arena's part

  private:
    struct Header {
        u32 references, length, next;
    };

    static u32 words_of(std::size_t length) {
        return static_cast<u32>((sizeof(Header) + length + 7) / 8);
    }
    Header* header_of(u32 number) const { return reinterpret_cast<Header*>(arena_.at(number)); }

    Arena& arena_;
    HashTable table_;
    u64 seed_;
    std::size_t size_ = 0;
};

}  // namespace rigel::matching
