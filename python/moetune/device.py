"""A device, real or simulated, and memory on it for callers without a framework."""

import ctypes
from ctypes import c_void_p

from .library import Shared, call, create, lib
from .tensor import View, view


class Device:
    """Device("cuda:0"), Device("sim:h100"), Device("null") or Device("auto"): the first GPU."""

    def __init__(self, name="auto"):
        self.shared = Shared(create("moe_device_open", name.encode()), lib.moe_device_close)
        self.name = self.resolve(name)

    handle = property(lambda self: self.shared.handle)

    def resolve(self, name):
        """The place of the device as torch writes it; "auto" and "cuda" are the first GPU."""
        return "cuda:0" if name in ("auto", "cuda") else name.split(",")[0]

    @property
    def text(self):
        """One line of facts: arch, name, SMs, shared memory, L2, ..."""
        return lib.moe_device_text(self.handle).decode()

    @property
    def facts(self):
        """The numbers of the line of facts."""
        pairs = (word.split("=") for word in self.text.split('" ', 1)[1].split())
        return {key: int(value) for key, value in pairs}

    def empty(self, dtype, shape):
        """Device memory of a dtype (bf16, f16, f32, i32, i64) and a shape, as a Buffer."""
        return Buffer(self, dtype, shape)

    def put(self, dtype, shape, host):
        """A Buffer filled from host memory."""
        buffer = Buffer(self, dtype, shape)
        buffer.write(host)
        return buffer

    def sync(self, stream=0):
        call("moe_device_sync", self.handle, c_void_p(stream))

    def __del__(self):
        if hasattr(self, "shared"):
            self.shared.release()


class Buffer:
    """A dense array on a device; freed with the object."""

    def __init__(self, device, dtype, shape):
        shape = tuple(shape)
        size = View(0, dtype, shape).nbytes
        self.memory = create("moe_device_alloc", device.handle, size)
        self.device = device.shared.hold()
        self.view_of_device = View(self.memory.value or 0, dtype, shape, device.name)

    pointer = property(lambda self: self.view_of_device.pointer)
    dtype = property(lambda self: self.view_of_device.dtype)
    shape = property(lambda self: self.view_of_device.shape)
    nbytes = property(lambda self: self.view_of_device.nbytes)

    def write(self, host):
        """Copies in from bytes, array.array, numpy, ... or from a CPU tensor of torch."""
        address, size, keep = host_memory(host)
        if size != self.nbytes:
            raise ValueError(f"{size} bytes for a buffer of {self.nbytes}")
        call("moe_device_copy_in", self.device.handle, self.memory, address, size)
        del keep  # the host memory had to outlive the copy

    def read(self):
        """The contents as bytes."""
        host = ctypes.create_string_buffer(max(self.nbytes, 1))
        call("moe_device_copy_out", self.device.handle, host, self.memory, self.nbytes)
        return host.raw[:self.nbytes]

    def __del__(self):
        if hasattr(self, "device"):
            lib.moe_device_free(self.device.handle, self.memory)
            self.device.release()


def host_memory(host):
    """(address, bytes, what keeps it alive) of host memory."""
    if hasattr(host, "data_ptr"):
        seen = view("host", host)
        if seen.place != "cpu":
            raise ValueError(f"the tensor is on {seen.place}; pass tensor.cpu()")
        return seen.pointer, seen.nbytes, host
    raw = bytes(memoryview(host).cast("B"))
    return ctypes.cast(ctypes.c_char_p(raw), c_void_p), len(raw), raw
