// Great-circle distances on the sphere from one place. Longitudes and latitudes in degrees.
//
// The haversine of an angle, sin^2(angle / 2), grows with the distance: 0 here, 1 on the other
// side of the earth. It is what distances are compared by; no root and no inverse sine is needed.
// It is exact where places are close and at the antimeridian and poles as anywhere; next to the
// other side of the earth it tells distances apart to 0.1 m. About 60 ns.
#pragma once

#include <algorithm>
#include <cmath>

namespace rigel::geoscope {

inline constexpr double PI = 3.141592653589793;
inline constexpr double EARTH_RADIUS_M = 6371000.0;  // as Orion has it

class Origin {
  public:
    Origin() = default;
    Origin(double lon, double lat)
        : lon_(lon), lat_(lat), phi_(lat * (PI / 180.0)), cos_(std::cos(phi_)) {}

    double lon() const { return lon_; }
    double lat() const { return lat_; }
    double phi() const { return phi_; }  // latitude in radians
    double cosine() const { return cos_; }  // of the latitude

    double haversine(double lon, double lat) const {
        const double across = std::sin((lon - lon_) * (PI / 360.0));
        const double phi = lat * (PI / 180.0);
        const double along = std::sin((phi - phi_) * 0.5);
        return along * along + cos_ * std::cos(phi) * across * across;
    }

    double metres_to(double lon, double lat) const {
        return 2.0 * EARTH_RADIUS_M * std::asin(std::min(1.0, std::sqrt(haversine(lon, lat))));
    }

  private:
    double lon_ = 0.0, lat_ = 0.0, phi_ = 0.0, cos_ = 1.0;
};

// The haversine of a distance: 1 for half of the earth's circumference and more.
inline double haversine_of(double distance_m) {
    const double half = distance_m / (2.0 * EARTH_RADIUS_M);
    if (half >= PI / 2.0) return 1.0;
    const double sine = std::sin(half);
    return sine * sine;
}

// The places from min_m to max_m away from an origin, both included. Where max_m is half of the
// earth's circumference or more there is no maximum; where min_m is more, there is no place.
class Annulus {
  public:
    Annulus() = default;
    Annulus(const Origin& origin, double min_m, double max_m)
        : origin_(origin),
          low_(min_m <= PI * EARTH_RADIUS_M ? haversine_of(min_m) : INFINITY),
          high_(max_m < PI * EARTH_RADIUS_M ? haversine_of(max_m) : INFINITY) {}

    bool has(double lon, double lat) const {
        const double haversine = origin_.haversine(lon, lat);
        return low_ <= haversine && haversine <= high_;
    }

  private:
    Origin origin_;
    double low_ = 0.0, high_ = 0.0;
};

}  // namespace rigel::geoscope
