"""What a network sees while it learns is what it sees when it is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cellseg_app.inference.cards import ModelCard, Normalization, OutputSpec
from cellseg_app.inference.normalize import intensity_scale, sample_voxels
from cellseg_app.inference.predictor import WindowPredictor
from cellseg_app.training.evaluation import as_batch
from cellseg_app.training.foreground import foreground_loss, plain_foreground
from cellseg_app.training.network_input import NetworkInput
from cellseg_app.training.samples import make_sample
from tests.labelled_balls import balls


@pytest.mark.parametrize("axes", ["ZYX", "XYZ"])
@pytest.mark.parametrize(
    "spec",
    [
        Normalization(low_quantile=0.01, high_quantile=0.998),
        Normalization(kind="quantile_clip", low_quantile=0.01, high_quantile=0.99),
        Normalization(kind="none"),
        Normalization(scope="window", kind="quantile_clip", high_quantile=0.99),
        Normalization(scope="window", kind="quantile_scale", high_quantile=0.99),
    ],
    ids=lambda spec: f"{spec.scope}-{spec.kind}",
)
def test_learning_and_using_agree(spec: Normalization, axes: str) -> None:
    image, labels = balls(4, edge=32)
    seen: list[torch.Tensor] = []

    def forward(batch: torch.Tensor) -> torch.Tensor:
        seen.append(batch.float())
        return batch

    card = ModelCard(
        name="x",
        title="x",
        architecture="SegResNet",
        weights_file="x.pt",
        weights_sha256="0" * 64,
        input_axes=axes,
        normalization=spec,
        output=OutputSpec(activation="identity"),
    )
    scale = None
    if spec.scope == "volume" and spec.kind != "none":
        rescale = spec.kind == "quantile_scale"
        ends = (spec.low_quantile, spec.high_quantile)
        scale = intensity_scale(sample_voxels(image), *ends, rescale=rescale)
    WindowPredictor(forward, card, scale, "cpu")(image[None])
    sample = make_sample(
        image, labels, step_zyx=(1, 1, 1), object_diameter_voxels=None, normalization=spec
    )
    answer = NetworkInput(spec, axes)(forward, as_batch(sample, (32, 32, 32)))
    used, learned = seen
    tolerance = 2e-3 * float(used.max() - used.min())
    torch.testing.assert_close(learned, used, atol=tolerance, rtol=0)
    straight = learned if axes == "ZYX" else learned.transpose(-1, -3)
    torch.testing.assert_close(answer, straight)


def test_the_plain_target_parts_cells_that_touch() -> None:
    labels = np.zeros((8, 8, 12), np.uint16)
    labels[2:6, 2:6, 1:6], labels[2:6, 2:6, 6:11] = 1, 2
    mask = plain_foreground(labels)
    assert not mask[:, :, 5:7].any()
    assert mask[2:6, 2:6, 1:5].all()
    assert mask.sum() == 2 * 4 * 4 * 4
    assert not plain_foreground(np.zeros((4, 4, 4), np.uint16)).any()


def test_the_plain_loss_is_lowest_for_the_truth() -> None:
    target = torch.zeros(1, 1, 8, 8, 8)
    target[..., 2:6, 2:6, 2:6] = 1
    sure = 20 * target - 10
    assert foreground_loss(sure, target) < 0.01
    assert foreground_loss(sure, target) < foreground_loss(0.2 * sure, target)
    assert foreground_loss(0.2 * sure, target) < foreground_loss(-sure, target)
