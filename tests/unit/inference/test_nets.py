"""The five networks are the published ones: same keys, same numbers; and they come in any width."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cellseg_app.core.errors import SettingsError
from cellseg_app.inference.nets import (
    ARCHITECTURES,
    architecture_name,
    build_network,
    network_traits,
    quick_form,
)
from cellseg_app.inference.nets.segresnet import VariationalSegResNet
from cellseg_app.inference.nets.wnet import WNet
from tests.reference_weights import reference_weights

REFERENCE = Path(__file__).parents[2] / "data" / "reference"
REFERENCE_NAMES = {name: "WNet3D" if name == "WNet" else name for name in ARCHITECTURES}
NARROW: dict[str, dict[str, object]] = {
    "SwinUNetR": {"feature_size": 12},
    "SegResNet": {"init_filters": 16, "vae": False, "blocks_down": (1, 1, 1), "blocks_up": (1, 1)},
    "WNet": {"channels": (8, 8, 16, 16), "classes": 3, "rescale_input_to": None},
    "TRAILMAP_MS": {"f_maps": 4, "num_levels": 3},
    "VNet": {"base_features": 4, "classes": 2},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_published_checkpoint_fits_key_by_key(architecture: str) -> None:
    expected = json.loads((REFERENCE / f"{REFERENCE_NAMES[architecture]}.keys.json").read_text())
    state = build_network(architecture, {}).state_dict()
    found = {
        key: [list(value.shape), str(value.dtype).removeprefix("torch.")]
        for key, value in state.items()
    }
    assert found == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_published_network_gives_the_published_numbers(architecture: str) -> None:
    network = build_network(architecture, {}).eval()
    network.load_state_dict(reference_weights(network), strict=True)
    image = np.random.Generator(np.random.PCG64(7)).random((1, 1, 64, 64, 64), dtype=np.float32)
    with torch.inference_mode():
        output = network(torch.from_numpy(image))[0, :, ::2, ::2, ::2].numpy()
    expected = np.load(REFERENCE / f"{REFERENCE_NAMES[architecture]}.expected.npz")["output"]
    assert output.shape == expected.shape
    assert np.abs(output - expected).max() <= 1e-4 * expected.std()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_narrow_network_keeps_the_shape_down_to_its_smallest_window(architecture: str) -> None:
    options = NARROW[architecture]
    traits = network_traits(architecture, options)
    network = build_network(architecture, options).eval()
    shape_zyx = (traits.minimum, traits.minimum + traits.divisor, traits.minimum)
    with torch.inference_mode():
        output = network(torch.rand((1, traits.in_channels, *shape_zyx)))
    assert output.shape == (1, traits.classes, *shape_zyx)
    assert torch.isfinite(output).all()


def test_training_a_segresnet_does_not_run_its_autoencoder() -> None:
    network = build_network("SegResNet", {"input_size": 16})
    assert isinstance(network, VariationalSegResNet)
    window = torch.rand((1, 1, 16, 16, 16))
    network.train()(window).sum().backward()
    assert network.vae_fc1.weight.grad is None
    _, loss = network.forward_with_vae_loss(window)
    loss.backward()
    assert network.vae_fc1.weight.grad is not None


def test_a_wnet_redraws_the_image_from_its_classes() -> None:
    network = build_network("WNet", {"channels": (4, 4, 8, 8), "decoder": True})
    assert isinstance(network, WNet)
    window = torch.rand((2, 1, 16, 16, 16))
    logits, redrawn = network.forward_with_reconstruction(window)
    assert logits.shape == (2, 2, 16, 16, 16)
    assert redrawn.shape == window.shape


def test_a_wnet_stretches_every_window_by_itself() -> None:
    network = build_network("WNet", {"channels": (4, 4, 8, 8)}).eval()
    windows = torch.rand((2, 1, 16, 16, 16))
    with torch.inference_mode():
        together = network(windows)
        alone = network(5 * windows[1:] + 3)
        constant = network(torch.full((1, 1, 16, 16, 16), 7.0))
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(constant).all()


def test_names_are_found_in_any_case_and_under_their_other_name() -> None:
    assert architecture_name("wnet3d") == "WNet"
    assert architecture_name("SEGRESNET") == "SegResNet"
    with pytest.raises(SettingsError, match="SwinUNetR"):
        architecture_name("resnet50")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(SettingsError, match="widht"):
        build_network("VNet", {"widht": 3})
    with pytest.raises(SettingsError, match="feature_size"):
        build_network("SwinUNetR", {"feature_size": 13})


def test_the_list_of_networks_comes_without_loading_torch() -> None:
    code = "import sys, cellseg_app.inference.nets; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("options", [{"f_maps": 4, "num_levels": 3}, {"f_maps": 16}])
def test_the_quick_form_of_trailmap_gives_the_same_with_a_quarter_fewer_operations(
    options: dict[str, object],
) -> None:
    network = build_network("TRAILMAP_MS", options).eval()
    network.load_state_dict(reference_weights(network))
    quick = quick_form("TRAILMAP_MS", network).eval()
    window = torch.rand(1, 1, 16, 24, 32, generator=torch.Generator().manual_seed(3))
    flops = []
    with torch.inference_mode():
        for module in (network, quick):
            with FlopCounterMode(display=False) as counter:
                module(window)
            flops.append(counter.get_total_flops())
        logits = [torch.logit(module(window)) for module in (network, quick)]
    assert torch.allclose(*logits, rtol=1e-4, atol=1e-4 * float(logits[0].std()))
    assert flops[1] < 0.75 * flops[0]


def test_other_networks_are_their_own_quick_form() -> None:
    network = build_network("VNet", NARROW["VNet"])
    assert quick_form("VNet", network) is network
    assert quick_form("custom", network) is network
