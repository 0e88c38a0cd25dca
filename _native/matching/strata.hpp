// Which ranges a number lies in: the ranges over one path, in strata by width.
//
// Owns which stratum a range is in, and when one of them is split. Ranges without an upper end
// are one stratum, those without a lower end another, turned round.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include "matching/stratum.hpp"

namespace rigel::matching {

// All ranges over one path in one scope. `triggered`: they are looked at only if the attribute
// of this path is among those that changed.
class Strata {
  public:
    Strata(Arena& arena, u32 path, bool triggered)
        : arena_(arena), path_(path), triggered_(triggered) {}

    u32 path() const { return path_; }
    bool triggered() const { return triggered_; }
    u32 count() const { return count_; }
    u32 stratum_count() const { return static_cast<u32>(strata_.size()); }

    // `span` as for Stratum::width_to_split.
    void insert(Posting posting, double span) {
        const Stratum::Kind kind = turn(posting.lower, posting.upper);
        Stratum& stratum = stratum_for(kind, Stratum::width_of(posting));
        const Block* only = stratum.only_block();
        stratum.insert(posting);
        if (stratum.only_block() != only) ++version_;
        ++count_;
        if (splitting_ != nullptr) {
            continue_split();
        } else if (kind == Stratum::BETWEEN && stratum.count() >= WORTH_A_LOOK &&
                   (stratum.count() & (stratum.count() - 1)) == 0) {
            consider_split(stratum, span);
        }
    }

    bool erase(float lower, float upper, u32 member) {
        const Stratum::Kind kind = turn(lower, upper);
        const float width = upper - lower;
        Stratum* stratum = find(kind, width);
        const Block* only = stratum == nullptr ? nullptr : stratum->only_block();
        bool found = stratum != nullptr && stratum->erase(lower, member);
        if (!found && splitting_ != nullptr && kind == Stratum::BETWEEN) {
            stratum = splitting_;  // it was not moved yet
            found = stratum->erase(lower, member);
        }
        if (!found) return false;
        if (stratum->only_block() != only) ++version_;
        --count_;
        if (splitting_ != nullptr) {
            continue_split();
        } else if (stratum->count() == 0) {
            drop(stratum);
        }
        return true;
    }

    // Changes with the strata there are, and with the only block of one.
    u32 version() const { return version_; }

    template <class Visit>
    void for_each_stratum(Visit&& visit) const {
        for (const auto& stratum : strata_) visit(*stratum);
    }

    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& stratum : strata_) stratum->for_each(visit);
    }

    void check() const {
        u32 total = 0;
        for (const auto& stratum : strata_) {
            stratum->check();
            total += stratum->count();
            if (stratum->count() == 0 && splitting_ == nullptr) {
                throw std::logic_error("an empty stratum is kept");
            }
        }
        if (total != count_) throw std::logic_error("strata have miscounted");
    }

    std::size_t memory_bytes() const {
        std::size_t bytes = sizeof *this + strata_.capacity() * sizeof(void*);
        for (const auto& stratum : strata_) bytes += stratum->memory_bytes();
        return bytes;
    }

  private:
    static constexpr u32 WORTH_A_LOOK = 256;  // ranges in a stratum before a split can pay

    // Ranges without a lower end are kept by their upper one, with the sign turned.
    static Stratum::Kind turn(float& lower, float& upper) {
        if (lower == -INFINITE) {
            lower = -upper;
            upper = INFINITE;
            return Stratum::BELOW;
        }
        return upper == INFINITE ? Stratum::ABOVE : Stratum::BETWEEN;
    }

    Stratum* find(Stratum::Kind kind, float width) const {
        for (const auto& stratum : strata_) {
            if (stratum->takes(kind, width)) return stratum.get();
        }
        return nullptr;
    }

    Stratum& stratum_for(Stratum::Kind kind, float width) {
        if (Stratum* stratum = find(kind, width)) return *stratum;
        // Strata of dropped widths leave gaps; the new one fills its gap.
        float from = 0, to = INFINITE;
        if (kind == Stratum::BETWEEN) {
            for (const auto& stratum : strata_) {
                if (stratum->kind() != kind) continue;
                if (stratum->width_to() <= width) from = std::max(from, stratum->width_to());
                if (stratum->width_from() > width) to = std::min(to, stratum->width_from());
            }
        }
        strata_.push_back(std::make_unique<Stratum>(arena_, kind, from, to));
        ++version_;
        return *strata_.back();
    }

    void consider_split(Stratum& stratum, double span) {
        const float width = stratum.width_to_split(span);
        if (width == 0) return;
        auto wide = std::make_unique<Stratum>(arena_, Stratum::BETWEEN, width, stratum.width_to());
        strata_.push_back(std::move(wide));
        ++version_;
        splitting_ = &stratum;
        span_ = span;
        stratum.begin_split(width, strata_.back().get());
        continue_split();
    }

    void continue_split() {
        Stratum* narrow = splitting_;
        ++version_;
        if (!narrow->continue_split()) return;
        splitting_ = nullptr;
        Stratum* wide = find(Stratum::BETWEEN, narrow->width_to());
        for (std::size_t i = strata_.size(); i-- != 0;) {
            Stratum* stratum = strata_[i].get();
            if (stratum->count() != 0) continue;
            if (stratum == narrow) narrow = nullptr;
            if (stratum == wide) wide = nullptr;
            drop(stratum);
        }
        // Widths may be of several sizes.
        if (wide != nullptr && wide->count() >= WORTH_A_LOOK) consider_split(*wide, span_);
        if (splitting_ == nullptr && narrow != nullptr && narrow->count() >= WORTH_A_LOOK) {
            consider_split(*narrow, span_);
        }
    }

    void drop(const Stratum* stratum) {
        const auto found = std::find_if(strata_.begin(), strata_.end(),
                                        [&](const auto& other) { return other.get() == stratum; });
        std::swap(*found, strata_.back());
        strata_.pop_back();
        ++version_;
    }

    Arena& arena_;
    std::vector<std::unique_ptr<Stratum>> strata_;
    Stratum* splitting_ = nullptr;
    double span_ = 0;
    u32 path_;
    u32 count_ = 0;
    u32 version_ = 0;
    bool triggered_;
};

}  // namespace rigel::matching
