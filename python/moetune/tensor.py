"""Whatever holds device memory, seen as pointer, dtype, shape and place."""

import math
from dataclasses import dataclass
from typing import Optional, Tuple

SIZES = {"bf16": 2, "f16": 2, "f32": 4, "i32": 4, "i64": 8}

TORCH_DTYPES = {"torch.bfloat16": "bf16", "torch.float16": "f16", "torch.float32": "f32",
                "torch.int32": "i32", "torch.int64": "i64"}
# The array interface has no bf16: frameworks hand it over as two raw bytes.
ARRAY_DTYPES = {"<V2": "bf16", "|V2": "bf16", "<f2": "f16", "<f4": "f32", "<i4": "i32",
                "<i8": "i64"}


@dataclass(frozen=True)
class View:
    """Contiguous device memory. `place` names the device it is on, None where that is unknown."""
    pointer: int
    dtype: str
    shape: Tuple[int, ...]
    place: Optional[str] = None

    @property
    def nbytes(self):
        return SIZES[self.dtype] * math.prod(self.shape)


def from_torch(name, tensor):
    dtype = TORCH_DTYPES.get(str(tensor.dtype))
    if dtype is None:
        raise TypeError(f"{name} is {tensor.dtype}; convert it to one of {', '.join(TORCH_DTYPES)}")
    if not tensor.is_contiguous():
        raise ValueError(f"{name} is not contiguous; pass {name}.contiguous()")
    return View(tensor.data_ptr(), dtype, tuple(tensor.shape), str(tensor.device))


def from_array_interface(name, array):
    interface = array.__cuda_array_interface__
    dtype = ARRAY_DTYPES.get(interface["typestr"])
    if dtype is None:
        raise TypeError(f"{name} is {interface['typestr']}; convert it to one of "
                        f"{', '.join(ARRAY_DTYPES)}")
    shape, strides = tuple(interface["shape"]), interface.get("strides")
    if strides is not None and tuple(strides) != dense_strides(shape, SIZES[dtype]):
        raise ValueError(f"{name} is not contiguous; copy it to a dense array first")
    return View(interface["data"][0], dtype, shape)


def dense_strides(shape, size):
    strides = []
    for length in reversed(shape):
        strides.append(size)
        size *= length
    return tuple(reversed(strides))


def view(name, tensor):
    """A View of a torch tensor, a Buffer, a View, or any array with __cuda_array_interface__."""
    if isinstance(tensor, View):
        return tensor
    if hasattr(tensor, "view_of_device"):
        return tensor.view_of_device
    if hasattr(tensor, "data_ptr"):
        return from_torch(name, tensor)
    if hasattr(tensor, "__cuda_array_interface__"):
        return from_array_interface(name, tensor)
    raise TypeError(f"{name} is a {type(tensor).__name__}; pass a torch tensor, a moetune.Buffer, "
                    "a moetune.View or an array with __cuda_array_interface__")


def without_ones(shape):
    """The shape without what a leading 1 adds to it: one row is a vector."""
    return shape[1:] if shape[:1] == (1,) else shape


def check(name, seen, dtype, shape, place):
    """Raises unless the view is what a run takes. A framework's memory is good on the same GPU
    alone; the null device touches nothing and takes any."""
    if seen.dtype != dtype:
        raise TypeError(f"{name} is {seen.dtype}, the layer takes {dtype}")
    if without_ones(seen.shape) != without_ones(shape):
        raise ValueError(f"{name} is {list(seen.shape)}, the layer takes {list(shape)}")
    if seen.place is not None and place != "null" and seen.place != place:
        raise ValueError(f"{name} is on {seen.place}, the plan runs on {place}; move it there")
