// A region on the earth that positions are tested against: boxes, lines and polygons with holes.
//
// Owns what it means to be in them (ngsi/geometry says it for all shapes): borders belong to
// their shapes, edges are straight in longitude and latitude, paths are unwrapped, so that they go
// on beyond 180 degrees where they cross the antimeridian. A ring around a pole is given closed
// over that pole, and with it the number of edges that close it, which are no border.
//
// Exact (plane.hpp). About 20 ns for a small polygon; a large one costs by the edges near the
// position and on its latitude, some 100 ns for 10 000 edges of a coast.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "geoscope/plane.hpp"

namespace rigel::geoscope {

class Region {
  public:
    void add_box(double west, double south, double east, double north) {
        boxes_.push_back({west, south, east, north});
    }

    // `path`: longitude, latitude, longitude, ... of two positions or more, from -180 to 540.
    void add_line(const double* path, std::size_t positions) {
        lines_.emplace_back(path, positions);
    }

    // `ring`: a closed path; `closing` of its edges, the last ones, close it over a pole.
    void add_polygon(const double* ring, std::size_t positions, std::size_t closing) {
        polygons_.push_back({Chain(ring, positions, closing), {}, closing != 0});
    }

    // A hole in the polygon added last, on the same turn of longitudes.
    void add_hole(const double* ring, std::size_t positions, std::size_t closing) {
        polygons_.back().holes.emplace_back(ring, positions, closing);
    }

    // Whether the position, with a longitude from -180 to 180, belongs to the region.
    bool touches(double lon, double lat) const {
        for (const Box& box : boxes_) {
            if (box.west <= lon && lon <= box.east && box.south <= lat && lat <= box.north) {
                return true;
            }
        }
        return has({lon, lat});
    }

    // Whether two regions of lines and polygons (boxes are not looked at) share a position.
    bool meets(const Region& other) const {
        // Where no borders meet, each part is in the other region as a whole or not at all.
        const auto starts_in = [](const Region& one, const Region& in) {
            return one.any_part([&in](const Chain& part) { return in.has(part.start()); });
        };
        return starts_in(*this, other) || starts_in(other, *this) ||
               any_border([&other](const Chain& chain) {
                   return other.any_border([&chain](const Chain& other_chain) {
                       for (const double turn : TURNS) {
                           if (chain.meets(other_chain, turn)) return true;
                       }
                       return false;
                   });
               });
    }

  private:
    // Paths are from -180 to 540, caps from -540 to 540; positions and paths meet them there.
    static constexpr double TURNS[] = {0.0, 360.0, -360.0, 720.0, -720.0};

    // Whether the position, of any path, belongs to a line or polygon.
    bool has(const Position& position) const {
        for (const double turn : TURNS) {
            const Position p = moved(position, turn);
            for (const Chain& line : lines_) {
                if (line.touches(p)) return true;
            }
            for (const Polygon& polygon : polygons_) {
                if (polygon.outer.locate(p) != Place::outside && !is_in_hole(polygon, p)) {
                    return true;
                }
            }
        }
        return false;
    }

    struct Box {
        double west, south, east, north;
    };

    struct Polygon {
        Chain outer;
        std::vector<Chain> holes;
        bool is_cap;  // around a pole
    };

    static bool is_in_hole(const Polygon& polygon, const Position& p) {
        for (const Chain& hole : polygon.holes) {
            if (!polygon.is_cap) {
                if (hole.locate(p) == Place::inside) return true;
                continue;
            }
            // A cap is on every turn, each of its holes on one or two only.
            for (const double turn : TURNS) {
                if (hole.locate(moved(p, turn)) == Place::inside) return true;
            }
        }
        return false;
    }

    // Whether is_found of a line or an outer ring.
    template <class IsFound>
    bool any_part(const IsFound& is_found) const {
        for (const Chain& line : lines_) {
            if (is_found(line)) return true;
        }
        for (const Polygon& polygon : polygons_) {
            if (is_found(polygon.outer)) return true;
        }
        return false;
    }

    // Whether is_found of a line or any ring.
    template <class IsFound>
    bool any_border(const IsFound& is_found) const {
        if (any_part(is_found)) return true;
        for (const Polygon& polygon : polygons_) {
            for (const Chain& hole : polygon.holes) {
                if (is_found(hole)) return true;
            }
        }
        return false;
    }

    std::vector<Box> boxes_;
    std::vector<Chain> lines_;
    std::vector<Polygon> polygons_;
};

}  // namespace rigel::geoscope
