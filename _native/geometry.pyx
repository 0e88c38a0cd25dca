# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""Whether positions are in circles and regions, and how far away. A door to C++."""


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
