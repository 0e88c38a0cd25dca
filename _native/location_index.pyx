# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""The index of things by location: handles of what overlaps given boxes. A door to C++."""

from cpython.float cimport PyFloat_AsDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromUnsignedLongLong
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport UINT64_MAX, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "geoscope/locations.hpp" namespace "rigel::geoscope" nogil:
    cdef cppclass Box:
        @staticmethod
        Box of(double west, double south, double east, double north)

    cdef cppclass Locations:
        size_t size()
        size_t memory_bytes()
        cbool contains(uint64_t handle)
        cbool insert(uint64_t handle, const vector[Box] &boxes) except +
        cbool remove(uint64_t handle)
        cbool replace(uint64_t handle, const vector[Box] &boxes) except +
        cbool search(const vector[Box] &boxes, size_t limit, vector[uint64_t] &found) except +
        string check() except +


cdef class LocationIndex:
    cdef Locations _locations
    cdef vector[Box] _boxes  # of the call under way: kept, so that its memory is reused

    def __len__(self):
        return self._locations.size()

    def __contains__(self, handle):
        return 0 <= handle <= UINT64_MAX and self._locations.contains(handle)

    @property
    def memory_bytes(self):
        return self._locations.memory_bytes()

    cdef int _take(self, object bounds) except -1:
        self._boxes.clear()
        for box in bounds:
            if not isinstance(box, tuple) or PyTuple_GET_SIZE(box) != 4:
                raise ValueError("a box is a tuple of west, south, east and north")
            self._boxes.push_back(
                Box.of(
                    PyFloat_AsDouble(<object>PyTuple_GET_ITEM(box, 0)),
                    PyFloat_AsDouble(<object>PyTuple_GET_ITEM(box, 1)),
                    PyFloat_AsDouble(<object>PyTuple_GET_ITEM(box, 2)),
                    PyFloat_AsDouble(<object>PyTuple_GET_ITEM(box, 3)),
                )
            )
        if self._boxes.empty():
            raise ValueError("no boxes")
        return 0

    def insert(self, uint64_t handle, bounds not None):
        self._take(bounds)
        if not self._locations.insert(handle, self._boxes):
            raise ValueError(f"handle {handle} is in the index")

    def remove(self, uint64_t handle):
        if not self._locations.remove(handle):
            raise KeyError(handle)

    def replace(self, uint64_t handle, bounds not None):
        self._take(bounds)
        if not self._locations.replace(handle, self._boxes):
            raise KeyError(handle)

    def search(self, bounds not None, *, limit=None):
        cdef vector[uint64_t] found
        cdef size_t most = UINT64_MAX if limit is None else limit
        self._take(bounds)
        if not self._locations.search(self._boxes, most, found):
            return None
        cdef Py_ssize_t i, count = found.size()
        cdef list handles = PyList_New(count)
        for i in range(count):
            handle = PyLong_FromUnsignedLongLong(found[i])
            Py_INCREF(handle)  # the list takes the reference over
            PyList_SET_ITEM(handles, i, handle)
        return handles

    def check(self):
        cdef string fault = self._locations.check()
        if not fault.empty():
            raise AssertionError(fault.decode())
