"""The systems that race. One file a system; a new one is a line in this table."""

from . import dense, jax_ragged, liger, moetune_plan, scattermoe, torch_eager, torch_grouped
from . import torch_router, transformers_experts, vllm

SYSTEMS = (
    moetune_plan.Moetune(),
    *(transformers_experts.Transformers(name) for name in transformers_experts.FORMS),
    torch_eager.TorchEager(),
    torch_grouped.TorchGrouped(),
    liger.Liger(),
    scattermoe.ScatterMoe(),
    vllm.Vllm(),
    jax_ragged.JaxRagged(),
    dense.Dense(),
    torch_router.TorchRouter(),
)


def select(names):
    """The named systems; all where names is None."""
    if names is None:
        return SYSTEMS
    known = {system.name: system for system in SYSTEMS}
    missing = [name for name in names.split(",") if name not in known]
    if missing:
        raise ValueError(f"no system {', '.join(missing)}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]
