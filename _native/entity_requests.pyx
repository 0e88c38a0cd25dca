# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""Ordinary requests about one entity, from the request to its reply.

What `broker.http.entities` defines for all of them, here for those that most are, with no Python
in between: the text of the body is parsed (`parsing`), the kernel does the update (`kernel`), an
entity is written as JSON (`rendering`). What is not ordinary is left to the routes, untouched; and
so is whatever is wrong, for they own the errors.
"""

cimport cython
from cpython.dict cimport PyDict_GetItem, PyDict_Size
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains
from cpython.tuple cimport PyTuple_GET_SIZE

from _native.kernel cimport UpdateKernel
from _native.model cimport Entity, EntityUpdate, make_entity_update
from _native.rendering cimport EntityEncoder
from _native.replies cimport Reply
from _native.requests cimport Request, Verdict

cdef str _JSON = "application/json"
cdef frozenset _NOTHING = frozenset()


cdef struct Parameters:
    bint are_ordinary
    bint key_values
    PyObject *type  # NULL: any


cdef Parameters look_at_parameters(Request request):
    cdef Parameters found
    cdef Py_ssize_t known = 0
    found.are_ordinary = True
    found.key_values = False
    found.type = NULL
    if PyDict_Size(request.parameters) == 0:
        return found
    found.type = PyDict_GetItem(request.parameters, "type")
    known += found.type != NULL
    if PyDict_GetItem(request.parameters, "options") != NULL:
        known += 1
        found.key_values = PySet_Contains(request.options, "keyValues")
        if len(request.options) != found.key_values:
            found.are_ordinary = False
    if PyDict_Size(request.parameters) != known:
        found.are_ordinary = False
    return found


cdef Reply make_reply(int status, bytes body, dict headers, object commit):
    cdef Reply reply = Reply.__new__(Reply)
    reply.status = status
    reply.body = body
    reply._headers = headers
    reply.commit = commit
    return reply


@cython.final
cdef class EntityRequests:
    cdef UpdateKernel _kernel
    cdef object _tenants  # a dict, or of a class derived from it
    cdef object _parse
    cdef EntityEncoder _encoder

    def __init__(
        self,
        UpdateKernel kernel not None,
        tenants not None,
        parse not None,
        EntityEncoder encoder not None,
    ):
        self._kernel = kernel
        self._tenants = tenants
        self._parse = parse
        self._encoder = encoder

    def update(self, Request request not None, bint creates):
        cdef Verdict verdict = request.verdict
        cdef PyObject *found
        cdef PyObject *entity_id
        cdef Parameters parameters
        cdef EntityUpdate update
        if not request.is_plain or verdict.home is None or request.content_type != _JSON:
            return None
        parameters = look_at_parameters(request)
        found = PyDict_GetItem(self._tenants, verdict.tenant)
        entity_id = PyDict_GetItem(request.captures, "id")
        if not parameters.are_ordinary or found == NULL or entity_id == NULL:
            return None
        tenant = <object>found
        if tenant.subscriptions or tenant.registrations:
            return None
        attributes = self._parse(request.body, parameters.key_values)
        if not attributes:
            return None
        update = make_entity_update(
            <str?>(<object>entity_id),
            None if parameters.type == NULL else <str?>(<object>parameters.type),
            <dict?>attributes,
        )
        entities = tenant.entities
        if self._kernel.do_update(
            <dict?>entities.by_id,
            verdict.tenant,
            verdict.home,
            update,
            creates,
            False,
            <dict?>entities.indexes,
        ) is None:
            return None
        return make_reply(204, b"", None, self._kernel._journal.promise())

    def read(self, Request request not None):
        cdef Verdict verdict = request.verdict
        cdef PyObject *found
        cdef PyObject *entity_id
        cdef Parameters parameters
        cdef Entity entity
        cdef tuple paths
        cdef bytes body
        if not request.is_plain:
            return None
        parameters = look_at_parameters(request)
        found = PyDict_GetItem(self._tenants, verdict.tenant)
        entity_id = PyDict_GetItem(request.captures, "id")
        if not parameters.are_ordinary or found == NULL or entity_id == NULL:
            return None
        tenant = <object>found
        if tenant.registrations:
            return None
        found = PyDict_GetItem(<dict?>tenant.entities.by_id, <object>entity_id)
        if found == NULL or type(<object>found) is not Entity:
            return None
        entity = <Entity>found
        if parameters.type != NULL and <object>parameters.type != entity.type:
            return None
        paths = <tuple?>verdict.scope.paths
        if PyTuple_GET_SIZE(paths) and entity.service_path not in paths:
            return None
        try:
            body = self._encoder.encode(entity, None, (), _NOTHING, not parameters.key_values)
        except Exception:
            return None  # the route tells of it
        if body is None:
            return None
        return make_reply(200, body, {"Content-Type": _JSON}, None)
