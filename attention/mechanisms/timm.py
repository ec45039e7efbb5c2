"""Attention classes of timm (PyTorch Image Models)."""

from attention.mechanisms import mechanisms

mechanisms.register("timm")(
    {
        "SEModule": "se",
        "SqueezeExcite": "se",
        "SqueezeExciteCl": "se",
        "EffectiveSEModule": "ese",
        "EseModule": "ese",
        "EcaModule": "eca",
        "CecaModule": "ceca",
        "CbamModule": "cbam",
        "LightCbamModule": "cbam",
        "ChannelAttn": "cbam",
        "LightChannelAttn": "cbam",
        "SpatialAttn": "cbam",
        "LightSpatialAttn": "cbam",
        "SelectiveKernel": "sk",
        "SplitAttn": "split_attention",
        "GlobalContext": "gc",
        "GatherExcite": "ge",
        "GhostModuleV2": "dfc",
        "GhostModuleV3": "dfc",
        "LinearSelfAttention": "separable_self_attention",
        "SHMA": "single_head_modulation",
        "HSMSSD": "hidden_state_mixer",
    }
)
