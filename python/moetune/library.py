"""libmoetune through ctypes: its structs, one table of its functions, and its errors."""

import ctypes
import os
from ctypes import (POINTER, Structure, byref, c_bool, c_char_p, c_double, c_float, c_int, c_int64,
                    c_size_t, c_uint, c_void_p)
from pathlib import Path

MATCHES = ("any", "exact", "near_tokens", "near_device", "default")  # ORDER moe_match
LOSSES = ("switch", "choices", "importance", "load", "z", "entropy")  # ORDER moe_loss


class PlanOptions(Structure):
    """moe_plan_options"""
    _fields_ = [("size", c_size_t), ("max_tokens", c_int64), ("worst", c_int),
                ("routing", c_char_p), ("cache", c_char_p), ("any_order", c_bool)]


class TensorDesc(Structure):
    """moe_tensor_desc: one tensor of a layer"""
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("file", c_char_p), ("role", c_int),
                ("dtype", c_int), ("rank", c_int), ("shape", c_int64 * 5), ("present", c_bool),
                ("need", c_int * 3), ("align", c_uint), ("io_offset", c_size_t)]


# name: (result, arguments). STATUS marks the functions that can fail: call() checks those.
STATUS = c_int
FUNCTIONS = {
    "moe_status_text": (c_char_p, (c_int,)),
    "moe_error_text": (c_char_p, ()),
    "moe_version": (c_char_p, ()),
    "moe_layer_parse_sized": (STATUS, (c_char_p, c_size_t, c_void_p)),
    "moe_layer_print": (STATUS, (c_void_p, c_char_p, c_size_t)),
    "moe_layer_size": (c_size_t, ()),
    "moe_layer_gated": (c_bool, (c_void_p,)),
    "moe_layer_capacity": (c_int64, (c_void_p, c_int64)),
    "moe_dtype_size": (c_size_t, (c_int,)),
    "moe_dtype_text": (c_char_p, (c_int,)),
    "moe_layer_tensor_sized": (STATUS, (c_void_p, c_int64, c_int, c_size_t, c_void_p)),
    "moe_layer_needs": (STATUS, (c_void_p, c_int, c_char_p, POINTER(c_int))),
    "moe_merge_experts": (STATUS, (c_int, POINTER(c_void_p), POINTER(c_double), c_int64, c_int64,
                                   c_void_p)),
    "moe_device_open": (STATUS, (c_char_p, POINTER(c_void_p))),
    "moe_device_close": (None, (c_void_p,)),
    "moe_device_text": (c_char_p, (c_void_p,)),
    "moe_device_alloc": (STATUS, (c_void_p, c_size_t, POINTER(c_void_p))),
    "moe_device_free": (STATUS, (c_void_p, c_void_p)),
    "moe_device_copy_in": (STATUS, (c_void_p, c_void_p, c_void_p, c_size_t)),
    "moe_device_copy_out": (STATUS, (c_void_p, c_void_p, c_void_p, c_size_t)),
    "moe_device_sync": (STATUS, (c_void_p, c_void_p)),
    "moe_db_open": (STATUS, (c_char_p, POINTER(c_void_p))),
    "moe_db_overlay": (STATUS, (c_void_p, c_char_p)),
    "moe_db_close": (None, (c_void_p,)),
    "moe_match_text": (c_char_p, (c_int,)),
    "moe_plan_create": (STATUS, (c_void_p, c_void_p, c_void_p, POINTER(PlanOptions),
                                 POINTER(c_void_p))),
    "moe_plan_destroy": (None, (c_void_p,)),
    "moe_plan_workspace": (STATUS, (c_void_p, c_int64, POINTER(c_size_t))),
    "moe_plan_match": (STATUS, (c_void_p, c_int64, POINTER(c_int))),
    "moe_plan_explain": (STATUS, (c_void_p, c_int64, c_char_p, c_size_t)),
    "moe_plan_run": (STATUS, (c_void_p, c_void_p, c_int64, c_void_p)),
    "moe_plan_bind": (STATUS, (c_void_p, c_void_p, c_int64, POINTER(c_void_p))),
    "moe_bound_run": (STATUS, (c_void_p, c_void_p)),
    "moe_bound_destroy": (None, (c_void_p,)),
}


class Error(RuntimeError):
    """A call that failed: `status` is its name, such as "not found"; the text says what to do."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


def candidates():
    """Where libmoetune.so may be, best first: named, beside the package, built in the repository,
    and wherever the loader looks. It finds libmoetune_sim.so, the simulated GPU, in its own
    folder."""
    package = Path(__file__).resolve().parent
    named = os.environ.get("MOETUNE_LIBRARY")
    if named:
        return [named]
    return [str(package / "libmoetune.so"), str(package.parents[1] / "build" / "libmoetune.so"),
            str(package.parents[1] / "libmoetune.so"), "libmoetune.so.0"]


def load():
    failures = []
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            failures.append(str(error))
            continue
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        return library
    raise ImportError("libmoetune.so was not found; build it (bash scripts/build.sh) or set "
                      "MOETUNE_LIBRARY to its path: " + "; ".join(failures))


lib = load()


def call(name, *arguments):
    """Calls a function that returns a status; raises Error with the library's own text."""
    status = getattr(lib, name)(*arguments)
    if status:
        raise Error(lib.moe_status_text(status).decode(), lib.moe_error_text().decode())


def create(name, *arguments):
    """Calls a function whose last argument is the handle or pointer that it makes."""
    out = c_void_p()
    call(name, *arguments, byref(out))
    return out


def descriptors(layer, tokens):
    """The TensorDescs of a layer, a struct of C's, at `tokens` tokens, in the library's order."""
    found = []
    while True:
        desc = TensorDesc()
        status = lib.moe_layer_tensor_sized(layer, tokens, len(found), ctypes.sizeof(desc),
                                            byref(desc))
        if status and found:
            return found
        if status:
            raise Error(lib.moe_status_text(status).decode(), lib.moe_error_text().decode())
        found.append(desc)


# The numbers of moe_io, in its order: the size in front, others between and behind its pointers.
NUMBERS = [("size", c_size_t), ("first_expert", c_int), ("routing_given", c_bool),
           ("vocab", c_int64), ("bias_rate", c_float), ("workspace", c_void_p),
           ("workspace_size", c_size_t)]


def io_fields():
    """Those of moe_io: a pointer for each tensor, where the library has it, and numbers wherever it
    leaves a place between them."""
    layer = ctypes.create_string_buffer(lib.moe_layer_size())
    call("moe_layer_parse_sized", b"d=8 f=8 e=1 k=1", len(layer), layer)
    pointers = {desc.io_offset: desc.name.decode() for desc in descriptors(layer, 0)}
    fields, numbers, place = [], iter(NUMBERS), ctypes.sizeof(c_void_p)
    for offset in sorted(pointers):
        while len(fields) * place < offset:
            fields.append(next(numbers))
        fields.append((pointers[offset], c_void_p))
    return fields + list(numbers)


class Io(Structure):
    """moe_io: the device pointers of one run"""
    _fields_ = io_fields()


class Shared:
    """A C object that is closed when its last holder lets go. Python finalises what is garbage
    together in any order; a device must still outlive its plans and buffers."""

    def __init__(self, handle, close):
        self.handle, self.close, self.holders = handle, close, 1

    def hold(self):
        self.holders += 1
        return self

    def release(self):
        self.holders -= 1
        if not self.holders:
            self.close(self.handle)


def version():
    return lib.moe_version().decode()
