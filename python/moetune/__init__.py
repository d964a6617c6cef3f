"""Runs tuned Mixture-of-Experts layers: a thin package over the C library libmoetune.

    import moetune
    device = moetune.Device("cuda:0")
    layer = moetune.Layer("d=2048 f=768 e=128 k=8 router=softmax>topk>renorm")
    plan = moetune.Plan(moetune.Database("tuning.db"), device, layer)
    y = plan.run(x=x, router_weight=router, up=up, down=down)     # torch tensors

include/moetune.h is the manual: each class here is one of its nouns, each method one function.
Nothing here imports torch, numpy or any other framework unless it is handed their tensors.
"""

from .database import Database
from .device import Buffer, Device
from .layer import Layer
from .library import LOSSES, Error, Io, PlanOptions, version
from .plan import Plan
from .tensor import View

__all__ = ["LOSSES", "Buffer", "Database", "Device", "Error", "Io", "Layer", "Plan", "PlanOptions",
           "View", "version"]
