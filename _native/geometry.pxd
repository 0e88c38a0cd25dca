# The C++ classes below these are for native code that tests positions without Python.

from libcpp cimport bool as cbool


cdef extern from "geoscope/sphere.hpp" namespace "rigel::geoscope" nogil:
    cdef cppclass NativeOrigin "rigel::geoscope::Origin":
        NativeOrigin()
        NativeOrigin(double lon, double lat)
        double lon()
        double lat()
        double haversine(double lon, double lat)
        double metres_to(double lon, double lat)

    cdef cppclass NativeAnnulus "rigel::geoscope::Annulus":
        NativeAnnulus()
        NativeAnnulus(const NativeOrigin &origin, double min_m, double max_m)
        cbool has(double lon, double lat)


cdef extern from "geoscope/region.hpp" namespace "rigel::geoscope" nogil:
    cdef cppclass NativeRegion "rigel::geoscope::Region":
        void add_box(double west, double south, double east, double north) except +
        void add_line(const double *path, size_t positions) except +
        void add_polygon(const double *ring, size_t positions, size_t closing) except +
        void add_hole(const double *ring, size_t positions, size_t closing) except +
        cbool touches(double lon, double lat)
        cbool meets(const NativeRegion &other)


cdef class Origin:
    cdef NativeOrigin native


cdef class Annulus:
    cdef NativeAnnulus native


cdef class Region:
    cdef NativeRegion native
