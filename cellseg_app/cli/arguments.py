"""Command-line flags as a view of `RunSettings`: help texts and bounds come from its fields."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from cellseg_app.core.diameter import parse_diameter
from cellseg_app.core.errors import SettingsError
from cellseg_app.core.settings import RunSettings


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag and the settings field it sets, as `section.field`."""

    name: str
    target: str
    convert: Callable[[str], Any] | None = None
    metavar: str | None = None
    constant: Any = None
    n_values: int | None = None


def _number_or_word(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


NETWORK_FLAGS: Final = (
    Flag("--voxel-size", "data.voxel_size_um_zyx", float, "µm", n_values=3),
    Flag("--channel", "data.channel", int, "K"),
    Flag("--time", "data.timepoint", int, "K"),
    Flag("--level", "data.level", int, "K"),
    Flag("--region", "region.box", str, "Z0:Z1,Y0:Y1,X0:X1"),
    Flag("--mask", "region.mask", str, "FILE"),
    Flag("--non-empty", "region.non_empty", constant=True),
    Flag("--model", "network.name", str, "NAME"),
    Flag("--weights", "network.weights", str, "FILE|NAME"),
    Flag("--input-size", "network.input_size", int, "N"),
    Flag("--window", "inference.window", _number_or_word, "N|auto|whole"),
    Flag("--overlap", "inference.overlap", float, "0…0.9"),
    Flag("--batch", "inference.batch", int, "N"),
    Flag("--device", "inference.device", str, "auto|cpu|cuda|mps|gpu|npu"),
    Flag("--keep-on-cpu", "inference.keep_on_cpu", constant=True),
    Flag("--precision", "inference.precision", str, "auto|float32|bfloat16|float16"),
    Flag("--runtime", "inference.runtime", str, "auto|torch|openvino"),
    Flag("--skip-empty", "inference.skip_empty", constant=True),
    Flag("--average-flips", "inference.flip_averaging", constant=True),
    Flag("--diameter", "size.diameter", str, "12um|14px|auto|none"),
    Flag("--isotropic", "size.isotropic", constant=True),
)
CELL_FLAGS: Final = (
    Flag("--class", "threshold.class_choice", _number_or_word, "auto|all|K"),
    Flag("--threshold", "threshold.threshold", float, "0…1"),
    Flag("--remove-large", "threshold.remove_large_voxels", int, "N"),
    Flag(
        "--instances",
        "instances.method",
        str,
        "cell-peaks|voronoi-otsu|watershed|connected-components|none",
    ),
    Flag("--min-size", "instances.min_size_voxels", int, "N"),
    Flag("--min-uncut", "instances.min_uncut_voxels", int, "N"),
    Flag("--spot-sigma", "instances.spot_sigma", float, "S"),
    Flag("--outline-sigma", "instances.outline_sigma", float, "S"),
    Flag("--seed-threshold", "instances.seed_threshold", float, "0…1"),
    Flag("--min-seed", "instances.min_seed_voxels", int, "N"),
    Flag("--seed-smoothing", "instances.seed_smoothing", float, "S"),
    Flag("--seed-depth", "instances.seed_depth", float, "0…1"),
    Flag("--remove-border", "instances.remove_border", constant=True),
    Flag("--no-stats", "statistics.enabled", constant=False),
    Flag("--no-surface", "statistics.surface", constant=False),
    Flag("--no-intensity", "statistics.intensity", constant=False),
    Flag("--no-uncertainty", "statistics.uncertainty", constant=False),
    Flag("--format", "output.format", str, "tif|zarr"),
    Flag("--no-probability", "output.save_probability", constant=False),
    Flag("--ome-zarr", "output.ome_zarr_version", str, "auto|0.5|0.4"),
    Flag("--map-type", "output.probability_dtype", str, "auto|float32|float16|uint8"),
    Flag("--label-type", "output.label_dtype", str, "uint32|uint16|uint64"),
)


def add_flags(parser: argparse._ActionsContainer, flags: Sequence[Flag]) -> None:
    """Add flags that leave no trace in the parsed arguments unless they are given."""
    for flag in flags:
        options: dict[str, Any] = {
            "dest": flag.target,
            "default": argparse.SUPPRESS,
            "help": _help(flag.target),
        }
        if flag.convert is None:
            parser.add_argument(flag.name, action="store_const", const=flag.constant, **options)
        else:
            parser.add_argument(
                flag.name,
                type=flag.convert,
                metavar=(("Z", "Y", "X") if flag.n_values == len("ZYX") else flag.metavar),
                nargs=flag.n_values,
                **options,
            )


def _help(target: str) -> str:
    section, name = target.split(".")
    model = RunSettings.model_fields[section].annotation
    field = model.model_fields[name]  # type: ignore[union-attr]
    extra = field.json_schema_extra
    unit = f" [{extra['unit']}]" if isinstance(extra, dict) else ""
    return f"{field.description}{unit}".replace("%", "%%")


def settings_from(arguments: argparse.Namespace, base: RunSettings) -> RunSettings:
    """Return `base` with the flags that were given.

    Raises
    ------
    SettingsError
        A value is out of its bounds.
    """
    values = base.model_dump()
    for target, value in vars(arguments).items():
        if "." in target:
            section, name = target.split(".")
            values[section][name] = value
    diameter = values["size"]["diameter"]
    if isinstance(diameter, str):
        values["size"].update(parse_diameter(diameter))
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        raise settings_error(error) from error


def settings_error(error: ValidationError) -> SettingsError:
    """Return the sentence for a user that belongs to settings that were refused."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][:2])
    flag = next((f.name for f in (*NETWORK_FLAGS, *CELL_FLAGS) if f.target == place), place)
    message = first["msg"].removeprefix("Value error, ")
    return SettingsError(
        f"{flag} cannot be {first['input']!r} ({message}).", "See `cellseg run --help`."
    )
