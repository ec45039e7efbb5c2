"""How sure a network is that an image is of any of its classes, and how well that tells foreign images apart.

Maximum softmax probability: Dan Hendrycks, Kevin Gimpel. ICLR 2017. https://arxiv.org/abs/1610.02136. Energy: Weitang
Liu, Xiaoyun Wang, John Owens, Yixuan Li. NeurIPS 2020. https://arxiv.org/abs/2010.03759; here its negative, so that
more is surer in both. Both are about a network's own test images: they are no probability that an image belongs.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Scores = NDArray[np.float64]


def maximum_softmax(logits: Tensor) -> Scores:
    """The largest softmax probability of each image: logits (B, K) -> (B,)."""
    return logits.double().softmax(1).amax(1).cpu().numpy()


def negative_energy(logits: Tensor) -> Scores:
    """The logarithm of the sum of exponentials of each image's logits (B, K) -> (B,)."""
    return logits.double().logsumexp(1).cpu().numpy()


def quantile(score: float, reference: Scores) -> float:
    """Share of the reference scores that are not above a score, 0..1; half of those that equal it."""
    return float(((reference < score).sum() + 0.5 * (reference == score).sum()) / len(reference))


def area_under_curve(own_scores: Scores, foreign: Scores) -> float:
    """Chance that one of the network's own images scores above a foreign one; ties count half (Mann-Whitney)."""
    return float(np.mean([quantile(score, foreign) for score in own_scores]))
