"""What a form needs to know about a settings field, read from the field. Qt-free."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cellseg_app.core.settings import RunSettings
from cellseg_app.state.settings import FormSettings

FieldKind = Literal[
    "flag", "choice", "number", "text", "triple", "weights", "device", "folder", "file", "box"
]
FieldPath = tuple[str, ...]

# Editors that a type alone does not tell.
_KINDS: Final[Mapping[FieldPath, FieldKind]] = {
    ("run", "network", "weights"): "weights",
    ("run", "inference", "device"): "device",
    ("output_folder",): "folder",
    ("run", "region", "box"): "box",
    ("run", "region", "mask"): "file",
}
# Bounds that stand in a validator because the field also takes words.
_BOUNDS: Final[Mapping[FieldPath, tuple[float, float]]] = {
    ("run", "inference", "window"): (8, 1024),
    ("run", "size", "diameter"): (0.1, 10_000),
    ("run", "threshold", "class_choice"): (0, 63),
}
_SECTION_TITLES: Final[Mapping[str, str]] = {
    "data": "Data",
    "region": "Region",
    "network": "Network",
    "inference": "Inference",
    "size": "Anisotropy and cell size",
    "threshold": "Threshold",
    "instances": "Instances",
    "statistics": "Statistics",
    "output": "Output",
    "cluster": "Cluster",
    "display": "Display",
}
_WORDS: Final[Mapping[object, str]] = {
    None: "Automatic",
    "auto": "Automatic",
    "whole": "Whole volume",
    "all": "All",
    "um": "µm",
    "px": "voxels",
    "none": "None",
    "tif": "TIFF",
    "zarr": "OME-Zarr",
    "cell-peaks": "Cell peaks",
    "voronoi-otsu": "Voronoi-Otsu",
    "watershed": "Watershed",
    "connected-components": "Connected components",
}
# Where None is no "automatic".
_NONE_WORDS: Final[Mapping[FieldPath, str]] = {
    ("run", "size", "diameter"): "Do not resize",
    ("run", "threshold", "remove_large_voxels"): "Keep all",
    ("run", "data", "voxel_size_um_zyx"): "From the file",
}
_LEAST_WORDS: Final[Mapping[FieldPath, str]] = {("run", "inference", "batch"): "Automatic"}
_LARGEST: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a form.

    Attributes
    ----------
    path
        Names from `FormSettings` down to the field.
    choices
        Value and title of each allowed word; for a number, the words it may be instead.
    is_whole
        Whether the number is an integer.
    word_for_least
        What the smallest number means, if that is no number.
    """

    path: FieldPath
    title: str
    help: str
    unit: str
    kind: FieldKind
    default: object
    choices: tuple[tuple[object, str], ...] = ()
    minimum: float = 0
    maximum: float = _LARGEST
    is_whole: bool = False
    word_for_least: str = ""

    @property
    def name(self) -> str:
        """The path as text, for widget names and tests."""
        return ".".join(self.path)

    @property
    def step(self) -> float:
        """What one press of an arrow changes."""
        if self.is_whole:
            return 1
        return 0.01 if self.maximum <= 1 else 0.1


@dataclass(frozen=True, slots=True)
class SectionSpec:
    """A group of fields under one heading."""

    key: str
    title: str
    fields: tuple[FieldSpec, ...]


def form_sections() -> tuple[SectionSpec, ...]:
    """Return the sections of the whole form, in the order they are shown."""
    sections = []
    for name, field in RunSettings.model_fields.items():
        own = tuple(_fields_of(field.annotation, ("run", name)))
        if name == "output":
            folder = FormSettings.model_fields["output_folder"]
            own = (field_spec(("output_folder",), folder), *own)
        sections.append(SectionSpec(name, _SECTION_TITLES[name], own))
    for name in ("cluster", "display"):
        own = tuple(_fields_of(FormSettings.model_fields[name].annotation, (name,)))
        sections.append(SectionSpec(name, _SECTION_TITLES[name], own))
    return tuple(sections)


def value_at(settings: BaseModel, path: FieldPath) -> Any:  # noqa: ANN401 - any field's value
    """The value of a field."""
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


def with_value(settings: FormSettings, path: FieldPath, value: object) -> FormSettings:
    """The settings with one field changed.

    Raises
    ------
    pydantic.ValidationError
        The value is not allowed.
    """
    content = settings.model_dump()
    place: dict[str, Any] = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return FormSettings.model_validate(content)


def _fields_of(model: Any, path: FieldPath) -> Iterator[FieldSpec]:  # noqa: ANN401
    for name, field in model.model_fields.items():
        yield field_spec((*path, name), field)


def field_spec(path: FieldPath, field: FieldInfo) -> FieldSpec:
    """Read one field."""
    extra = field.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    parts = list(_alternatives(field.annotation))
    low, high = _bounds(path, field, parts)
    words = tuple((value, _word(path, value)) for value in _words(parts))
    return FieldSpec(
        path=path,
        title=field.title or path[-1],
        help=field.description or "",
        unit=unit,
        kind=_KINDS.get(path) or _kind(parts),
        default=field.default,
        choices=words,
        minimum=low,
        maximum=high,
        is_whole=int in parts and float not in parts,
        word_for_least=_LEAST_WORDS.get(path, ""),
    )


def _alternatives(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - any annotation
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    elif origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    else:
        yield annotation


def _words(parts: list[Any]) -> Iterator[object]:
    if type(None) in parts:
        yield None
    for part in parts:
        if get_origin(part) is Literal:
            yield from get_args(part)


def _kind(parts: list[Any]) -> FieldKind:
    if bool in parts:
        return "flag"
    if any(get_origin(part) is tuple for part in parts):
        return "triple"
    if int in parts or float in parts:
        return "number"
    return "choice" if any(get_origin(part) is Literal for part in parts) else "text"


def _bounds(path: FieldPath, field: FieldInfo, parts: list[Any]) -> tuple[float, float]:
    low, high = _BOUNDS.get(path, (0.0, float(_LARGEST)))
    for mark in field.metadata:
        if isinstance(mark, annotated_types.Ge):
            low = float(mark.ge)  # type: ignore[arg-type]
        elif isinstance(mark, annotated_types.Le):
            high = float(mark.le)  # type: ignore[arg-type]
    return low, high


def _word(path: FieldPath, value: object) -> str:
    if value is None and path in _NONE_WORDS:
        return _NONE_WORDS[path]
    return _WORDS.get(value, str(value))
