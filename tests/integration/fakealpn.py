"""A TLS server that selects the protocol it likes, as Python's does not."""

import _ssl
import ctypes

_SELECT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_ubyte), ctypes.c_void_p, ctypes.c_uint,
    ctypes.c_void_p)


class _Context(ctypes.Structure):
    """How a PySSLContext begins."""
    _fields_ = [("refcount", ctypes.c_ssize_t), ("type", ctypes.c_void_p),
                ("ctx", ctypes.c_void_p)]


def select(context, name):
    """Every client of this context gets this protocol; keep what is
    returned for as long as the context."""
    chosen = ctypes.create_string_buffer(name, len(name))

    def choose(_ssl_, out, out_len, _offered, _offered_len, _arg):
        out[0] = ctypes.addressof(chosen)
        out_len[0] = len(name)
        return 0  # SSL_TLSEXT_ERR_OK

    callback = _SELECT(choose)
    libssl = ctypes.CDLL(_ssl.__file__)
    libssl.SSL_CTX_set_alpn_select_cb(
        ctypes.c_void_p(_Context.from_address(id(context)).ctx), callback,
        None)
    return callback, chosen
