"""Weights files load strictly, whatever their format; what does not fit is refused by name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from cellseg_app.core.errors import SettingsError, WeightsError
from cellseg_app.inference.cards import ModelCard, card_path_for, write_card
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.recognize import recognize
from cellseg_app.inference.weights import load_network

NARROW: dict[str, dict[str, object]] = {
    "SwinUNetR": {"feature_size": 12, "depths": [1, 1, 1, 1]},
    "SegResNet": {"init_filters": 16, "input_size": 32, "blocks_down": [1, 1, 2]}
    | {"blocks_up": [1, 1]},
    "WNet": {"channels": [8, 8, 16, 16], "classes": 3},
    "TRAILMAP_MS": {"f_maps": 4, "num_levels": 3, "classes": 2},
    "VNet": {"base_features": 4, "bias": False},
}
SMALL = {"vae": False, "blocks_down": [1, 1], "blocks_up": [1]}


def seeded(architecture: str, options: dict[str, object]) -> nn.Module:
    torch.manual_seed(1)
    return build_network(architecture, options).eval()


def small_segresnet() -> nn.Module:
    return seeded("SegResNet", dict(SMALL))


def run(network: nn.Module, *, edge: int = 16) -> torch.Tensor:
    shape = (2 if edge == 16 else 1, 1, edge, edge, edge)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        output: torch.Tensor = network(image)
    return output


@pytest.mark.parametrize("architecture", NARROW)
def test_a_checkpoint_of_any_width_runs_as_it_was_trained(
    tmp_path: Path, architecture: str
) -> None:
    network = seeded(architecture, NARROW[architecture])
    path = tmp_path / "best.pth"
    torch.save(network.state_dict(), path)
    loaded = load_network(path)
    assert (loaded.card.architecture, loaded.card.options) == (architecture, NARROW[architecture])
    assert loaded.sha256 == sha256_of(path)
    edge = 64 if architecture == "SwinUNetR" else 16
    torch.testing.assert_close(run(loaded.module, edge=edge), run(network, edge=edge))


def _wrapped(state: dict[str, torch.Tensor]) -> object:
    return {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}


@pytest.mark.parametrize(
    "save",
    [
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
        lambda state, path: torch.save(_wrapped(state), path),
        lambda state, path: safetensors.torch.save_file(state, path),
    ],
    ids=["old pickle", "trainer's checkpoint", "safetensors"],
)
def test_every_way_of_saving_weights_is_understood(
    tmp_path: Path, save: Callable[[dict[str, torch.Tensor], Path], None]
) -> None:
    network = small_segresnet()
    save(network.state_dict(), tmp_path / "w.bin")
    torch.testing.assert_close(run(load_network(tmp_path / "w.bin").module), run(network))


def test_half_precision_weights_run_in_float32(tmp_path: Path) -> None:
    network = small_segresnet()
    half = {key: value.half() for key, value in network.state_dict().items()}
    safetensors.torch.save_file(half, tmp_path / "w.safetensors")
    loaded = load_network(tmp_path / "w.safetensors")
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
    torch.testing.assert_close(run(loaded.module), run(network), rtol=0.05, atol=0.05)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch retires TorchScript; files stay
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # group norm checks its own shape
@pytest.mark.parametrize("options", [SMALL, {**SMALL, "vae": True, "input_size": 16}])
def test_a_torchscript_file_runs_and_shows_its_network(
    tmp_path: Path, options: dict[str, object]
) -> None:
    network = seeded("SegResNet", dict(options))
    torch.jit.trace(network, torch.rand(1, 1, 16, 16, 16)).save(tmp_path / "w.pt")
    loaded = load_network(tmp_path / "w.pt")
    assert (loaded.card.architecture, loaded.card.file_kind) == ("SegResNet", "torchscript")
    torch.testing.assert_close(run(loaded.module), run(network), rtol=1e-4, atol=1e-4)
    with pytest.raises(WeightsError, match="Choose SegResNet"):
        load_network(tmp_path / "w.pt", network="VNet")


class _TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, 3, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(x), x.mean()


class _Writer(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "stolen")
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_file_of_an_unknown_network_counts_its_classes(tmp_path: Path) -> None:
    torch.jit.script(_TwoOutputs()).save(tmp_path / "w.pt")
    loaded = load_network(tmp_path / "w.pt")
    assert (loaded.card.architecture, loaded.card.classes) == ("custom", 3)
    assert run(loaded.module).shape == (2, 3, 16, 16, 16)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_file_that_writes_files_is_refused(tmp_path: Path) -> None:
    torch.jit.script(_Writer()).save(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="more than compute"):
        load_network(tmp_path / "w.pt")


def onnx_file(path: Path, layer: nn.Conv3d, shape: list[int | str]) -> Path:
    """Write one convolution as ONNX; strings in `shape` are open dimensions."""
    initializers = [
        numpy_helper.from_array(parameter.detach().numpy(), name)
        for name, parameter in layer.named_parameters()
    ]
    convolution = helper.make_node("Conv", ["x", "weight", "bias"], ["y"], pads=[1] * 6)
    graph = helper.make_graph(
        [convolution],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 2, *shape[2:]])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("shape", "window"),
    [([1, 1, 16, 16, 16], 16), ([2, 1, 18, 18, 18], 18), (["n", 1, "z", "y", "x"], None)],
    ids=["fixed", "odd", "open"],
)
def test_an_onnx_file_runs_in_float32(
    tmp_path: Path, shape: list[int | str], window: int | None
) -> None:
    torch.manual_seed(3)
    layer = nn.Conv3d(1, 2, 3, padding=1)
    loaded = load_network(onnx_file(tmp_path / "w.onnx", layer, shape), network="WNet")
    card = loaded.card
    assert (card.architecture, card.classes, card.file_kind) == ("WNet", 2, "onnx")
    assert (card.window_default, card.window_fixed) == (window or 64, True)
    assert loaded.cpu_only
    with pytest.raises(SettingsError, match="bound to windows"):
        load_network(tmp_path / "w.onnx", network="WNet", input_size=32)
    image = torch.rand((3, 1, *[window or 20] * 3))
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(image), layer(image), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("without_openvino")
def test_an_onnx_file_is_refused_where_openvino_cannot_be_loaded(tmp_path: Path) -> None:
    layer = nn.Conv3d(1, 2, 3, padding=1)
    file = onnx_file(tmp_path / "w.onnx", layer, [1, 1, 16, 16, 16])
    with pytest.raises(WeightsError, match="OpenVINO, which cannot be loaded here"):
        load_network(file, network="WNet")


def test_an_onnx_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    layer = nn.Conv3d(2, 2, 3, padding=1)
    with pytest.raises(WeightsError, match="one volume in, one out"):
        load_network(onnx_file(tmp_path / "w.onnx", layer, [1, 2, 16, 16, 16]))


def test_weights_of_another_network_are_refused_and_the_right_one_named(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(small_segresnet().state_dict(), path)
    with pytest.raises(WeightsError, match=r"for SegResNet, not for VNet\. Choose SegResNet"):
        load_network(path, network="VNet")
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="none of the five"):
        load_network(path)


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    state = small_segresnet().state_dict()
    for index in range(12):
        state[f"down_layers.9.{index}.bias"] = torch.zeros(1)
    del state["convInit.conv.weight"]
    state["conv_final.0.bias"] = torch.zeros(5)
    card = card_for_file(state, tmp_path / "w.pth")
    write_card(card, tmp_path / "w.json")
    with pytest.raises(WeightsError) as caught:
        load_network(tmp_path / "w.pth")
    message = str(caught.value)
    assert "1 missing (convInit.conv.weight)" in message
    assert "12 unexpected (down_layers.9.0.bias" in message
    assert "down_layers.9.9.bias, …)" in message
    assert "down_layers.9.10.bias" not in message
    assert "conv_final.0.bias (5,) instead of (8,)" in message


def card_for_file(state: dict[str, torch.Tensor], path: Path) -> ModelCard:
    torch.save(state, path)
    return ModelCard(
        name="own",
        title="own",
        architecture="SegResNet",
        options=dict(SMALL),
        weights_file=path.name,
        weights_sha256=sha256_of(path),
        divisor=2,
    )


def test_a_card_beside_the_weights_decides(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    card = card_for_file(small_segresnet().state_dict(), path)
    write_card(card, card_path_for(path))
    assert load_network(path).card == card
    assert load_network(card_path_for(path)).card == card
    assert load_network(path, input_size=34).card.window_default == 34
    with pytest.raises(SettingsError, match="input size of 33"):
        load_network(path, input_size=33)
    with pytest.raises(WeightsError, match="Choose SegResNet"):
        load_network(path, network="WNet")


def test_a_json_file_that_is_no_card_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(small_segresnet().state_dict(), path)
    card_path_for(path).write_text(json.dumps({"loss": [1, 2]}))
    assert load_network(path).card.cellseg3d_compatible


def test_weights_that_are_not_the_cards_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    write_card(card_for_file(small_segresnet().state_dict(), path), card_path_for(path))
    torch.manual_seed(9)
    torch.save(build_network("SegResNet", dict(SMALL)).state_dict(), path)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_network(path)
    path.unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_network(card_path_for(path))


def test_the_decoder_of_a_wnet_is_left_out_and_said_so(tmp_path: Path) -> None:
    options: dict[str, object] = {"channels": [8, 8, 16, 16]}
    network = seeded("WNet", options | {"decoder": True})
    torch.save(network.state_dict(), tmp_path / "w.pth")
    loaded = load_network(tmp_path / "w.pth", network="wnet3d")
    assert any("84 weights of the WNet decoder" in note for note in loaded.notes)
    torch.testing.assert_close(run(loaded.module), run(network))
    assert loaded.card.window_fixed


def test_the_input_size_of_a_segresnet_is_read_from_the_file(tmp_path: Path) -> None:
    options: dict[str, object] = {"blocks_down": [1, 1, 1, 1], "input_size": 96}
    network = build_network("SegResNet", options)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    assert load_network(tmp_path / "w.pth").card.window_default == 96
    assert load_network(tmp_path / "w.pth", input_size=104).card.window_default == 104
    with pytest.raises(SettingsError, match="trained with windows of 96"):
        load_network(tmp_path / "w.pth", input_size=64)


class _Code:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return (eval, ("1 + 1",))


def test_a_file_with_code_is_not_opened(tmp_path: Path) -> None:
    for name, content in {"object": {"a": _Code()}, "network": small_segresnet()}.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(WeightsError, match="holds Python code"):
            load_network(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x1f\x8b" + bytes(100), "weights import"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{broken", "damaged"),
        (b"\x80\x02broken", "damaged"),
        (b"\x08\x07broken", "ONNX"),
        (b"PK\x03\x04" + bytes(50), "incomplete"),
        (np.arange(1000).tobytes(), "not a weights file"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=says) as caught:
        load_network(path)
    assert caught.value.remedy


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"w.{suffix}"
    state = small_segresnet().state_dict()
    if suffix == "pth":
        torch.save(state, path)
    else:
        safetensors.torch.save_file(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"incomplete|damaged"):
        load_network(path)


def test_files_without_weights_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="ZIP archive without weights"):
        load_network(tmp_path / "a.zip")
    torch.save({"losses": [1.0, 2.0]}, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match="holds no network weights"):
        load_network(tmp_path / "b.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(tmp_path / "absent.pth")


def test_a_training_gone_astray_is_noticed(tmp_path: Path) -> None:
    state = small_segresnet().state_dict()
    state["conv_final.0.bias"][0] = torch.nan
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="not finite"):
        load_network(tmp_path / "w.pth")


def test_shapes_that_no_network_has_are_refused() -> None:
    shapes = {key: tuple(v.shape) for key, v in small_segresnet().state_dict().items()}
    shapes["convInit.conv.weight"] = (7, 1, 3, 3, 3)
    with pytest.raises(WeightsError, match="shape it cannot have"):
        recognize(shapes)
