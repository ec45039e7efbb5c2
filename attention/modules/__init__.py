"""The shelf of attention modules: one file a mechanism, put here by ``@modules.register("name")``.

A module takes ``channels`` first and keyword-only options after; each of its weights passes a Gate.
"""

from attention.gate import AttentionModule
from attention.registry import Registry

modules: Registry[type[AttentionModule]] = Registry("attention module", __name__)
