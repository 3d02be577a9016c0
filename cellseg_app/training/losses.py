"""What training minimises."""

from __future__ import annotations

import torch
from torch.nn import functional

_SHARPNESS = 4.0


def centre_peaked_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Loss of a centre-peaked foreground map.

    Parameters
    ----------
    logits
        (N, 1, Z, Y, X), before the sigmoid.
    target
        The same shape, 0 to 1, 0.5 at the border of an object.

    Notes
    -----
    Cross-entropy with the map itself as a soft label makes the sigmoid equal the map; objects
    count double. The overlap (Dice) of what lies above one half is added, because that contour
    is what becomes the cell.
    """
    weight = 1 + (target > 0.25).to(target.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, weight=weight)
    own_entropy = functional.binary_cross_entropy(target, target, weight=weight)
    inside = torch.sigmoid(_SHARPNESS * logits)
    truth = (target >= 0.5).to(target.dtype)
    overlap = 2 * (inside * truth).sum() + 50
    dice = 1 - overlap / (inside.sum() + truth.sum() + 50)
    return entropy - own_entropy + 0.3 * dice


def soft_normalized_cut(
    classes: torch.Tensor,
    image: torch.Tensor,
    *,
    sigma_intensity: float = 0.15,
    sigma_distance: float = 2.0,
    radius_voxels: int = 2,
) -> torch.Tensor:
    """Soft normalized cut of class probabilities, per class and sample, averaged (0 to 1).

    Parameters
    ----------
    classes
        (N, K, Z, Y, X) probabilities.
    image
        (N, 1, Z, Y, X) intensities.
    sigma_intensity, sigma_distance
        Neighbours are alike if they differ by less than the first and lie nearer than the second
        (voxels).
    radius_voxels
        Neighbours farther away are not looked at.

    References
    ----------
    Shi and Malik, "Normalized cuts and image segmentation", TPAMI 2000; soft form: Tang et al.,
    "On regularized losses for weakly-supervised CNN segmentation", ECCV 2018.
    """
    kept = classes.square().sum(dim=(2, 3, 4))
    total = classes.sum(dim=(2, 3, 4))
    for offset in _half_ball(radius_voxels):
        here, there = _overlap(offset)
        distance = sum(step * step for step in offset)
        likeness = torch.exp(
            -(((image[here] - image[there]) / sigma_intensity) ** 2) - distance / sigma_distance**2
        )
        one, other = classes[here], classes[there]
        kept = kept + 2 * (likeness * one * other).sum(dim=(2, 3, 4))
        total = total + (likeness * (one + other)).sum(dim=(2, 3, 4))
    return (1 - kept / (total + 1e-6)).mean()


def uneven_classes_loss(classes: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """How much intensity varies within each class (square-rooted, so that dim cells count too).

    Parameters
    ----------
    classes
        (N, K, Z, Y, X) probabilities.
    image
        (N, 1, Z, Y, X) intensities.

    References
    ----------
    The region term of Chan and Vese, "Active contours without edges", IEEE TIP 2001.
    """
    seen = image.clamp(0.0, 2.0).sqrt()
    weights = classes.sum(dim=(2, 3, 4), keepdim=True) + 1e-3
    means = (classes * seen).sum(dim=(2, 3, 4), keepdim=True) / weights
    return (classes * (seen - means).square()).sum(dim=1).mean()


def bright_first_loss(
    classes: torch.Tensor, image: torch.Tensor, *, margin: float = 0.2
) -> torch.Tensor:
    """How far class 0 falls short of being brighter than every other class by a margin."""
    weights = classes.sum(dim=(2, 3, 4)) + 1e-3
    means = (classes * image).sum(dim=(2, 3, 4)) / weights
    return functional.relu(margin - (means[:, :1] - means[:, 1:])).mean()


def _half_ball(radius: int) -> list[tuple[int, int, int]]:
    """Every offset within a radius, one of each opposite pair, without the centre."""
    steps = range(-radius, radius + 1)
    return [
        (z, y, x)
        for z in steps
        for y in steps
        for x in steps
        if (z, y, x) > (0, 0, 0) and z * z + y * y + x * x <= radius * radius
    ]


def _overlap(offset: tuple[int, int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a volume and itself moved by an offset overlap."""
    whole = (slice(None), slice(None))
    here = tuple(slice(max(0, -s), -s if s > 0 else None) for s in offset)
    there = tuple(slice(max(0, s), s if s < 0 else None) for s in offset)
    return whole + here, whole + there
