# cython: language_level=3, boundscheck=False, wraparound=False
"""One exchange after the other over a socket that is open: the usual course.

`broker.sender` derives its classes from these and does all else: it opens sockets, and knows what
is to be done when they end or bring what is no response. Must not: queue, or keep a timer. Costs:
one write and one read of the kernel for an exchange, and about a microsecond.
"""

from _native.notification cimport Notification
from _native.response cimport ResponseParser

from _native.response import MalformedResponse


cdef class Wire:
    def __init__(self, on_answer not None, ResponseParser parser not None):
        self._on_answer = on_answer
        self.parser = parser

    def attach(self, transport not None):
        """The socket is open. It is not read before something was asked."""
        self._transport = transport
        self._write = transport.write
        transport.pause_reading()
        self.is_open = True

    cdef int ask(self, bytes message, bint is_head) except -1:
        self._sent += 1
        self._is_waiting = True
        self.parser.begin(is_head)
        self._write(message)
        if self._sent == 1:
            self._transport.resume_reading()
        return 0

    def send(self, bytes message not None, bint is_head):
        self.ask(message, is_head)

    def data_received(self, bytes data not None):
        if not self._is_waiting:
            # Nobody asked: it would be taken for the answer to the next request.
            self.close()
            return
        try:
            if not self.parser.feed(data):
                return
        except MalformedResponse as error:
            self.refuse(error.fault)
            return
        self._is_waiting = False
        if self._is_congested or not self.parser.keep_alive:
            # Congested: the receiver answered without having read; it may never read on.
            self.close()
        self._on_answer(self.parser)


cdef class Line:
    cpdef ask(self, bytes message, bint is_head):
        cdef Wire wire = self._wire
        self._message = message
        self._is_head = is_head
        if wire is not None and wire.is_open:
            wire.ask(message, is_head)
        else:
            self.open()


cdef class Exchanges:
    def __init__(self, make_response not None, frozenset redirects not None):
        self._make_response = make_response
        self._redirects = redirects

    def exchange(self, request, on_end):
        cdef bytes message
        self._request = request
        self._on_end = on_end
        if type(request) is Notification and (<Notification>request).location is not None:
            try:
                message = (<Notification>request).request()
            except ValueError as error:
                self.refuse(error)
                return
        else:
            message = self.compose(request)
            if message is None:
                return
        self._line.ask(message, request.method == "HEAD")

    cdef int forget(self) except -1:
        """The exchange is over."""
        self._request = self._on_end = self._redirection = None
        if self._refusal is not None:
            self._refusal.cancel()
            self._refusal = None
        if self._detour is not None:
            self._detour.close()
            self._detour = None
        return 0

    def give_up(self):
        self._line.close()
        self.forget()

    def take(self, ResponseParser parser not None):
        """A response has come."""
        cdef object on_end
        if parser.status in self._redirects and parser.location:
            self.follow(parser.status, parser.location)
            return
        on_end = self._on_end
        self.forget()
        if on_end is not None:
            on_end(tuple.__new__(self._make_response, (parser.status, parser.take_body())), None)

    def fail(self, str reason not None):
        """No response will come."""
        on_end = self._on_end
        self.forget()
        if on_end is not None:
            on_end(None, reason)
