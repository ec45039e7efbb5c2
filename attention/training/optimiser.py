"""The optimiser of a run, and which parameters its weight decay reaches."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD

from attention.gate import AttentionModule
from attention.spec import Recipe

NORMALISATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Layers whose weight is a scale: pulling it to zero would not simplify the network but shrink what passes."""


def sgd(model: nn.Module, recipe: Recipe, fused: bool = False) -> SGD:
    """Make SGD with Nesterov momentum whose weight decay reaches `decayed` parameters only.

    Args:
        fused: whether all parameters are updated by one kernel, which reads a rate that is a tensor on the device.
    """
    names = decayed(model)
    parameters = dict(model.named_parameters())
    groups = [
        {"params": [parameters[name] for name in parameters if name in names], "weight_decay": recipe.weight_decay},
        {"params": [parameters[name] for name in parameters if name not in names], "weight_decay": 0.0},
    ]
    return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused or None)


def decayed(model: nn.Module) -> frozenset[str]:
    """Name the parameters that weight decay reaches.

    All but biases, the parameters of normalisations, single numbers and vectors, and those that an attention module
    declares as `AttentionModule.undecayed`.
    """
    exempt: set[str] = set()
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, NORMALISATIONS):
            exempt |= {prefix + name for name, _ in module.named_parameters(recurse=False)}
        if isinstance(module, AttentionModule):
            exempt |= {prefix + name for name in module.undecayed}
    return frozenset(name for name, parameter in model.named_parameters() if parameter.dim() > 1 and name not in exempt)
