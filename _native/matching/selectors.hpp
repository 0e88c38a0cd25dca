// Which entities are meant, in numbers: by id and by type, each exact, by pattern, or any.
#pragma once

#include "matching/memory.hpp"
#include "matching/strings.hpp"

namespace rigel::matching {

// One side of a selector, in 32 bits.
class Term {
  public:
    enum Kind : u32 { ANY, TEXT, PATTERN };

    Term() = default;
    Term(Kind kind, u32 number) : bits_(kind << 30 | number) {}
    static Term from_bits(u32 bits) {
        Term term;
        term.bits_ = bits;
        return term;
    }

    Kind kind() const { return static_cast<Kind>(bits_ >> 30); }
    u32 number() const { return bits_ & MAX_NUMBER; }
    u32 bits() const { return bits_; }

    static constexpr u32 MAX_NUMBER = (1u << 30) - 1;

  private:
    u32 bits_ = 0;
};
static_assert(Arena::MAX_ADDRESS == u64{Term::MAX_NUMBER} + 1);

struct Selector {
    Term id, type;

    u64 key() const { return u64{id.bits()} << 32 | type.bits(); }
    static Selector from_key(u64 key) {
        return {Term::from_bits(static_cast<u32>(key >> 32)),
                Term::from_bits(static_cast<u32>(key))};
    }

    void add_references(Strings& strings) const {
        if (id.kind() == Term::TEXT) strings.add_reference(id.number());
        if (type.kind() == Term::TEXT) strings.add_reference(type.number());
    }
    void release(Strings& strings) const {
        if (id.kind() == Term::TEXT) strings.release(id.number());
        if (type.kind() == Term::TEXT) strings.release(type.number());
    }
};

}  // namespace rigel::matching
