"""How unsure predicted classes are, and how much of that is due to what is not known of networks.

The entropy of the predictive law is the sum of two parts (Depeweg et al. 2018): the expected
entropy of the class given the networks, which more data would not lessen, and the mutual
information of class and networks, the epistemic part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import digamma, entr

from tagi_cli.training.interface import Floats


def entropy(p: Floats) -> Floats:
    """Entropies of n distributions over K classes `p (n, K)`, nats `(n,)`, 0 to log K."""
    return np.asarray(entr(p).sum(axis=1))


def expected_entropy(p: Floats, var: Floats) -> Floats:
    """Expected entropies of uncertain distributions, nats `(n,)`; at most those of their means.

    The expectation of `-sum_k p_k log p_k` needs the law of each probability by itself, however
    they depend on each other. That law is taken as a beta law with the given moments, for which
    `E[p log p] = m (digamma(m s + 1) - digamma(s + 1))` with `s = m (1 - m) / var - 1`. Of
    probabilities with a Dirichlet law it is exact.

    Args:
        p: `(n, K)` means of the probabilities.
        var: `(n, K)` their variances, at most `p (1 - p)`.
    """
    # Below this share of the largest variance the expansion in it has no further term to show.
    largest = p * (1 - p)
    spread = var > 1e-14 * largest
    ratio = np.where(spread, largest, 1) / np.where(spread, var, 1)
    # The sum of both parameters of the beta law, 0 for a probability that is either 0 or 1.
    size = np.maximum(ratio - 1, 0)
    mean_log = digamma(p * size + 1) - digamma(size + 1)
    return np.asarray(np.where(spread, -p * mean_log, entr(p)).sum(axis=1))


def decompose(members: Sequence[Floats], variances: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Entropy of the mixture of members, and its epistemic part, nats, `(n,)` each.

    The epistemic part is the entropy less the mean over the members of the expected entropy, so
    that it counts what each of them does not know, and what they disagree about.

    Args:
        members: `(n, K)` probabilities of each member; rows sum to one.
        variances: `(n, K)` their variances, from what is not known of a member's parameters.
    """
    total = entropy(np.mean(members, axis=0))
    left = np.mean([expected_entropy(*one) for one in zip(members, variances, strict=True)], axis=0)
    return total, np.clip(total - left, 0, total)
