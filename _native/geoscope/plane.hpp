// Exact relations of positions, edges and rings in the plane of longitude and latitude.
//
// All answers are those of exact arithmetic on the doubles given: which side of an edge a position
// is on is computed in doubles with a bound of the error, and where that does not decide, as a
// sum of doubles without any error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace rigel::geoscope {

struct Position {
    double lon, lat;

    friend bool operator==(const Position& a, const Position& b) {
        return a.lon == b.lon && a.lat == b.lat;
    }
};

// A sum of doubles without error: parts that do not overlap, the smallest first. (Shewchuk,
// "Adaptive Precision Floating-Point Arithmetic", 1997: GROW-EXPANSION, TWO-SUM, TWO-PRODUCT.)
class ExactSum {
  public:
    void add_product(double a, double b) {
        const double product = a * b;
        add(std::fma(a, b, -product));
        add(product);
    }

    int sign() const {
        for (int i = count_; i-- != 0;) {
            if (parts_[i] != 0.0) return parts_[i] > 0.0 ? 1 : -1;
        }
        return 0;
    }

  private:
    void add(double term) {
        for (int i = 0; i < count_; ++i) {
            const double sum = parts_[i] + term;
            const double virtual_term = sum - parts_[i];
            const double error = (parts_[i] - (sum - virtual_term)) + (term - virtual_term);
            parts_[i] = error;
            term = sum;
        }
        parts_[count_++] = term;
    }

    double parts_[12];  // of six products
    int count_ = 0;
};

// On which side of the line from a to b the position p is: 1 left, -1 right, 0 on it.
inline int side_of(const Position& a, const Position& b, const Position& p) {
    const double left = (a.lon - p.lon) * (b.lat - p.lat);
    const double right = (a.lat - p.lat) * (b.lon - p.lon);
    const double determinant = left - right;
    // Shewchuk's bound of the error. Products of degrees do not overflow; they underflow only
    // for positions less than 1e-130 degrees from the equator and a meridian, not told apart.
    constexpr double EPSILON = 1.1102230246251565e-16;
    const double bound = (3.0 + 16.0 * EPSILON) * EPSILON * (std::fabs(left) + std::fabs(right));
    if (determinant > bound || -determinant > bound) return determinant > 0.0 ? 1 : -1;
    ExactSum sum;  // a x b + b x p + p x a
    sum.add_product(a.lon, b.lat);
    sum.add_product(-a.lat, b.lon);
    sum.add_product(b.lon, p.lat);
    sum.add_product(-b.lat, p.lon);
    sum.add_product(p.lon, a.lat);
    sum.add_product(-p.lat, a.lon);
    return sum.sign();
}

// Whether p is within the ranges of both coordinates from a to b.
inline bool is_between(const Position& a, const Position& b, const Position& p) {
    return std::min(a.lon, b.lon) <= p.lon && p.lon <= std::max(a.lon, b.lon) &&
           std::min(a.lat, b.lat) <= p.lat && p.lat <= std::max(a.lat, b.lat);
}

inline bool is_on_edge(const Position& a, const Position& b, const Position& p) {
    return is_between(a, b, p) && side_of(a, b, p) == 0;
}

// Whether two edges share a position.
inline bool edges_meet(const Position& a, const Position& b, const Position& c, const Position& d) {
    const int c_side = side_of(a, b, c), d_side = side_of(a, b, d);
    if (c_side * d_side > 0) return false;
    const int a_side = side_of(c, d, a), b_side = side_of(c, d, b);
    if (a_side * b_side > 0) return false;
    if (c_side * d_side < 0 && a_side * b_side < 0) return true;
    return (c_side == 0 && is_between(a, b, c)) || (d_side == 0 && is_between(a, b, d)) ||
           (a_side == 0 && is_between(c, d, a)) || (b_side == 0 && is_between(c, d, b));
}

inline Position moved(const Position& p, double turn) { return {p.lon + turn, p.lat}; }

enum class Place { outside, border, inside };

// Positions joined by edges: a line, or a ring whose last position repeats the first.
//
// Consecutive edges are close to each other, so the ranges of every BLOCK edges are kept, of every
// BLOCK of those, and so on: what is away from the position asked for is passed over.
class Chain {
  public:
    // `path`: longitude, latitude, longitude, ... of two positions or more. The last `invisible`
    // edges bound the area of a ring, but are no border of it.
    Chain(const double* path, std::size_t positions, std::size_t invisible = 0)
        : positions_(positions), visible_(positions - 1 - invisible) {
        for (std::size_t i = 0; i < positions; ++i) {
            positions_[i] = {path[2 * i], path[2 * i + 1]};
        }
        std::vector<Range> ranges;
        for (std::size_t i = 0; i + 1 < positions; ++i) {
            const Range edge(positions_[i], positions_[i + 1]);
            i % BLOCK == 0 ? ranges.push_back(edge) : ranges.back().extend(edge);
        }
        levels_.push_back(std::move(ranges));
        while (levels_.back().size() > BLOCK) {
            const std::vector<Range>& narrow = levels_.back();
            std::vector<Range> wide;
            for (std::size_t i = 0; i < narrow.size(); ++i) {
                i % BLOCK == 0 ? wide.push_back(narrow[i]) : wide.back().extend(narrow[i]);
            }
            levels_.push_back(std::move(wide));
        }
    }

    // Whether the position is on one of the edges.
    bool touches(const Position& p) const {
        const auto on_edge = [this, &p](std::size_t i) {
            return is_on_edge(positions_[i], positions_[i + 1], p);
        };
        return any_edge([&p](const Range& range) { return range.has(p); }, on_edge);
    }

    // Where the position is, seen from the area that the ring goes round (even-odd rule).
    Place locate(const Position& p) const {
        bool inside = false, on_invisible = false;
        // By the edges that a ray eastwards from p meets.
        const auto is_in_way = [&p](const Range& range) {
            return range.south <= p.lat && p.lat <= range.north && p.lon <= range.east;
        };
        const auto is_border = [&](std::size_t i) {
            const Position &a = positions_[i], &b = positions_[i + 1];
            const Range range(a, b);
            if (!is_in_way(range)) return false;
            // A position at the latitude of a corner is met by the one of its edges that goes
            // on southwards.
            const bool crosses = (a.lat > p.lat) != (b.lat > p.lat);
            if (p.lon < range.west) {
                inside ^= crosses;
                return false;
            }
            const int side = side_of(a, b, p);
            if (side == 0) {
                on_invisible |= i >= visible_;
                return i < visible_;
            }
            inside ^= crosses && (side > 0) == (b.lat > a.lat);
            return false;
        };
        if (any_edge(is_in_way, is_border)) return Place::border;
        return inside || on_invisible ? Place::inside : Place::outside;
    }

    // Whether an edge shares a position with one of `other`, which is moved by `turn` degrees of
    // longitude. Edges that are no border count as not there.
    bool meets(const Chain& other, double turn) const {
        if (other.visible_ < visible_) return other.meets(*this, -turn);
        for (std::size_t i = 0; i < visible_; ++i) {
            const Position a = moved(positions_[i], -turn), b = moved(positions_[i + 1], -turn);
            const Range edge(a, b);
            const auto is_near = [&edge](const Range& range) { return range.overlaps(edge); };
            const auto is_meeting = [&](std::size_t j) {
                const Position &c = other.positions_[j], &d = other.positions_[j + 1];
                return j < other.visible_ && Range(c, d).overlaps(edge) && edges_meet(a, b, c, d);
            };
            if (other.any_edge(is_near, is_meeting)) return true;
        }
        return false;
    }

    const Position& start() const { return positions_[0]; }

  private:
    static constexpr std::size_t BLOCK = 8;

    struct Range {
        double west, south, east, north;

        Range(const Position& a, const Position& b)
            : west(std::min(a.lon, b.lon)),
              south(std::min(a.lat, b.lat)),
              east(std::max(a.lon, b.lon)),
              north(std::max(a.lat, b.lat)) {}

        void extend(const Range& other) {
            west = std::min(west, other.west);
            south = std::min(south, other.south);
            east = std::max(east, other.east);
            north = std::max(north, other.north);
        }

        bool overlaps(const Range& other) const {
            return west <= other.east && other.west <= east && south <= other.north &&
                   other.south <= north;
        }

        bool has(const Position& p) const {
            return west <= p.lon && p.lon <= east && south <= p.lat && p.lat <= north;
        }
    };

    // Whether is_found(i) for an edge i; those in ranges for which not is_near are left out.
    template <class IsNear, class IsFound>
    bool any_edge(const IsNear& is_near, const IsFound& is_found) const {
        return any_below(levels_.size(), 0, levels_.back().size(), is_near, is_found);
    }

    template <class IsNear, class IsFound>
    bool any_below(std::size_t level, std::size_t first, std::size_t end, const IsNear& is_near,
                   const IsFound& is_found) const {
        for (std::size_t i = first; i < end; ++i) {
            if (level == 0) {
                if (is_found(i)) return true;
            } else if (is_near(levels_[level - 1][i])) {
                const std::size_t below =
                    level == 1 ? positions_.size() - 1 : levels_[level - 2].size();
                const std::size_t last = std::min((i + 1) * BLOCK, below);
                if (any_below(level - 1, i * BLOCK, last, is_near, is_found)) return true;
            }
        }
        return false;
    }

    std::vector<Position> positions_;
    std::size_t visible_;
    std::vector<std::vector<Range>> levels_;  // of blocks of edges, of blocks of blocks, ...
};

enum class Simplicity { simple, crossed, unknown };

// Whether no two edges of a closed ring share a position but those next to each other, which
// share one. Unknown where more than `budget` pairs of edges would have to be looked at.
inline Simplicity check_ring(const double* path, std::size_t positions, std::size_t budget) {
    std::vector<Position> corners;  // without repetitions
    for (std::size_t i = 0; i < positions; ++i) {
        const Position p{path[2 * i], path[2 * i + 1]};
        if (corners.empty() || !(corners.back() == p)) corners.push_back(p);
    }
    if (corners.size() < 4 || !(corners.front() == corners.back())) return Simplicity::crossed;
    const std::size_t count = corners.size() - 1;
    const auto west = [&corners](std::size_t i) {
        return std::min(corners[i].lon, corners[i + 1].lon);
    };
    const auto east = [&corners](std::size_t i) {
        return std::max(corners[i].lon, corners[i + 1].lon);
    };
    std::vector<std::size_t> order(count);  // edges from west to east
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&west](std::size_t i, std::size_t j) { return west(i) < west(j); });
    for (std::size_t k = 0; k < count; ++k) {
        const std::size_t i = order[k];
        const Position &a = corners[i], &b = corners[i + 1];
        for (std::size_t l = k + 1; l < count && west(order[l]) <= east(i); ++l) {
            if (budget-- == 0) return Simplicity::unknown;
            const std::size_t j = order[l];
            const Position &c = corners[j], &d = corners[j + 1];
            if (std::min(a.lat, b.lat) > std::max(c.lat, d.lat) ||
                std::min(c.lat, d.lat) > std::max(a.lat, b.lat)) {
                continue;
            }
            const bool is_next = (i + 1) % count == j, is_previous = (j + 1) % count == i;
            if (!is_next && !is_previous) {
                if (edges_meet(a, b, c, d)) return Simplicity::crossed;
                continue;
            }
            // Neighbours share more than a corner when they go back on each other.
            const Position& corner = is_next ? b : a;
            const Position &one = is_next ? a : b, &other = is_next ? d : c;
            if (side_of(one, corner, other) == 0 &&
                (is_between(corner, one, other) || is_between(corner, other, one))) {
                return Simplicity::crossed;
            }
        }
    }
    return Simplicity::simple;
}

}  // namespace rigel::geoscope
