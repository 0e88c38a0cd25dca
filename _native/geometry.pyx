# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""Whether positions are in circles and regions, and how far away. A door to C++."""

from libc.math cimport M_PI, cos, fabs, hypot
from libcpp.vector cimport vector

cdef double RADIAN = M_PI / 180.0


cdef extern from "geoscope/sphere.hpp" namespace "rigel::geoscope" nogil:
    const double EARTH_RADIUS_M


cdef extern from "geoscope/plane.hpp" namespace "rigel::geoscope" nogil:
    cdef enum class Simplicity:
        simple
        crossed
        unknown

    Simplicity check_ring(const double *path, size_t positions, size_t budget) except +


cdef size_t count_positions(const double[::1] path, Py_ssize_t least) except 0:
    if path.shape[0] % 2 != 0 or path.shape[0] < 2 * least:
        raise ValueError("a path has too few numbers")
    return path.shape[0] // 2


cdef class Origin:
    def __cinit__(self, double lon, double lat):
        self.native = NativeOrigin(lon, lat)

    @property
    def lon(self):
        return self.native.lon()

    @property
    def lat(self):
        return self.native.lat()

    def haversine(self, double lon, double lat):
        return self.native.haversine(lon, lat)

    def metres_to(self, double lon, double lat):
        return self.native.metres_to(lon, lat)

    def survey(self, const double[::1] path not None, double nearest):
        cdef size_t count = count_positions(path, 2)
        cdef size_t i
        cdef vector[double] metres
        cdef double lat, next_lat, shrink, length, bound
        cdef list found = []
        metres.reserve(count)
        for i in range(count):
            metres.push_back(self.native.metres_to(path[2 * i], path[2 * i + 1]))
            nearest = min(nearest, metres[i])
        for i in range(count - 1):
            lat = path[2 * i + 1]
            next_lat = path[2 * i + 3]
            shrink = 1.0 if lat * next_lat <= 0.0 else cos(min(fabs(lat), fabs(next_lat)) * RADIAN)
            length = EARTH_RADIUS_M * hypot(
                (path[2 * i + 2] - path[2 * i]) * RADIAN * shrink, (next_lat - lat) * RADIAN
            )
            bound = (metres[i] + metres[i + 1] - length) / 2.0
            if bound < nearest:
                found.append((bound, i, metres[i], metres[i + 1]))
        found.sort()
        return nearest, found


cdef class Annulus:
    def __cinit__(self, Origin origin not None, double min_m, double max_m):
        self.native = NativeAnnulus(origin.native, min_m, max_m)

    def has(self, double lon, double lat):
        return self.native.has(lon, lat)


cdef class Region:
    def __cinit__(self, *, boxes=(), lines=(), polygons=()):
        cdef const double[::1] path
        cdef double west, south, east, north
        cdef size_t positions, closing
        for west, south, east, north in boxes:
            self.native.add_box(west, south, east, north)
        for path in lines:
            self.native.add_line(&path[0], count_positions(path, 2))
        for rings in polygons:
            is_hole = False
            for path, closing in rings:
                positions = count_positions(path, 4)
                if closing >= positions - 1:
                    raise ValueError("a ring has no edges of its own")
                if is_hole:
                    self.native.add_hole(&path[0], positions, closing)
                else:
                    self.native.add_polygon(&path[0], positions, closing)
                is_hole = True

    def touches(self, double lon, double lat):
        return self.native.touches(lon, lat)

    def meets(self, Region other not None):
        return self.native.meets(other.native)


def is_simple_ring(const double[::1] path not None, size_t budget):
    cdef Simplicity found = check_ring(&path[0], count_positions(path, 4), budget)
    return None if found == Simplicity.unknown else found == Simplicity.simple
