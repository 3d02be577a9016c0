"""Lengths and sphericities that follow from second moments, volume and surface."""

from __future__ import annotations

import numpy as np

from cellseg_app.analysis.moments import Doubles, Moments, covariance
from cellseg_app.core.volume import SpacingZYX


def axis_lengths(moments: Moments, spacing_um_zyx: SpacingZYX) -> Doubles:
    """Full axes of the ellipsoids with the same second moments, longest first.

    A solid ellipsoid with half axis a has variance a²/5 along it, hence the length 2·√(5λ) for an
    eigenvalue λ of the covariance of the voxel centres. The voxels' own extent (1/12 each) is not
    added: for digitized ellipsoids that would make every axis too long (by 2–3 % at a radius of 3
    voxels, where it is right to 1 % without). But no axis is shorter than what one voxel alone
    would have along it, so that flat and one-voxel cells get a thickness instead of 0.

    Parameters
    ----------
    moments
        Of N objects.
    spacing_um_zyx
        Voxel size; ones give voxels.

    Returns
    -------
    (N, 3) major, middle, minor.
    """
    values, vectors = np.linalg.eigh(_scaled_covariance(moments, spacing_um_zyx))
    voxel = np.asarray(spacing_um_zyx) ** 2 / 12
    least = np.einsum("nik,i->nk", vectors**2, voxel)
    lengths = 2 * np.sqrt(5 * np.maximum(values, least))
    return np.sort(lengths, axis=1)[:, ::-1]


def axis_sphericity(moments: Moments, spacing_um_zyx: SpacingZYX) -> Doubles:
    """Sphericity of the spheroid with the object's longest and shortest axis.

    2·(a·b²)^⅓ / (a + b²/√(a²−b²)·ln((a+√(a²−b²))/b)) with the major axis a and the minor axis b, as
    napari-cellseg3d reports it. The limit 1 for a = b; NaN where b = 0 (flat and one-voxel cells).
    """
    values = np.linalg.eigvalsh(_scaled_covariance(moments, spacing_um_zyx))
    a, b = np.sqrt(np.maximum(values[:, 2], 0)), np.sqrt(np.maximum(values[:, 0], 0))
    flat = values[:, 0] <= 1e-9 * np.maximum(values[:, 2], np.finfo(float).tiny)
    focal = np.sqrt(np.maximum(a**2 - b**2, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        arc = b**2 / focal * np.log((a + focal) / b)
        arc = np.where(focal > 1e-6 * a, arc, b)
        result = 2 * np.cbrt(a * b**2) / (a + arc)
    return np.where(flat, np.nan, result)


def surface_sphericity(volume: Doubles, surface: Doubles) -> Doubles:
    """Surface of the ball of equal volume over the surface (Wadell 1935)."""
    ball: Doubles = np.cbrt(np.pi) * np.cbrt(6 * volume) ** 2
    return ball / surface


def _scaled_covariance(moments: Moments, spacing_um_zyx: SpacingZYX) -> Doubles:
    step = np.asarray(spacing_um_zyx)
    scaled: Doubles = covariance(moments) * np.outer(step, step)
    return scaled
