"""The form: generated from the settings, bounded by them, honest about what does not apply."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from cellseg_app.analysis.instances import INSTANCE_METHODS
from cellseg_app.core.settings import InstanceSettings, RunSettings
from cellseg_app.inference.cards import ModelCard
from cellseg_app.state.settings import FormSettings
from cellseg_app.ui.forms.applicability import METHOD_OPTIONS, Circumstances, reasons
from cellseg_app.ui.forms.editor_base import ComboBox
from cellseg_app.ui.forms.editors import ChoiceEditor, FlagEditor, NumberEditor
from cellseg_app.ui.forms.field_specs import FieldSpec, form_sections, value_at, with_value
from cellseg_app.ui.forms.form import SettingsForm
from cellseg_app.ui.forms.special_editors import BoxEditor, TripleEditor

SPECS = [field for section in form_sections() for field in section.fields]


@pytest.fixture
def form(qtbot: QtBot) -> SettingsForm:
    form = SettingsForm()
    qtbot.addWidget(form)
    return form


def card(**changes: object) -> ModelCard:
    values = {
        "name": "w",
        "title": "w",
        "architecture": "WNet",
        "weights_file": "w.pt",
        "weights_sha256": "0" * 64,
        "classes": 2,
        "window_fixed": True,
        **changes,
    }
    return ModelCard.model_validate(values)


def test_every_setting_of_a_run_has_a_field() -> None:
    there = {spec.path for spec in SPECS}
    for section, field in RunSettings.model_fields.items():
        for name in field.annotation.model_fields:  # type: ignore[union-attr]
            assert ("run", section, name) in there


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_field_says_what_it_is(spec: FieldSpec) -> None:
    assert spec.title
    assert spec.help.endswith(".")
    assert value_at(FormSettings(), spec.path) == spec.default


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_bound_is_allowed_by_the_settings(spec: FieldSpec) -> None:
    if spec.kind != "number":
        return
    for bound in (spec.minimum, spec.maximum):
        value = int(bound) if spec.is_whole else bound
        assert value_at(with_value(FormSettings(), spec.path, value), spec.path) == value


def test_the_bounds_of_the_class_are_those_of_the_engine() -> None:
    assert {m: set(s.options) for m, s in INSTANCE_METHODS.items()} == {
        m: set(options) for m, options in METHOD_OPTIONS.items() if m != "none"
    }
    known = {name for options in METHOD_OPTIONS.values() for name in options}
    assert known == set(InstanceSettings.model_fields) - {"method"}


def test_editing_sends_settings_and_resets(form: SettingsForm, qtbot: QtBot) -> None:
    threshold = form.editor("run", "threshold", "threshold")
    assert isinstance(threshold, NumberEditor)
    assert threshold.box is not None
    with qtbot.waitSignal(form.edited) as blocker:
        threshold.box.setCurrentIndex(1)
        threshold.box.activated.emit(1)
    threshold.spin.setValue(0.35)
    assert form.settings.run.threshold.threshold == 0.35
    assert blocker.args[1] == ("run", "threshold", "threshold")
    row = form._rows["run", "threshold", "threshold"]
    assert row.reset.isEnabled()
    row.reset.click()
    assert form.settings.run.threshold.threshold is None
    assert not row.reset.isEnabled()


def test_showing_settings_sends_nothing(form: SettingsForm) -> None:
    sent: list[object] = []
    form.edited.connect(lambda *_: sent.append(1))
    settings = with_value(FormSettings(), ("run", "inference", "window"), "whole")
    settings = with_value(settings, ("run", "data", "voxel_size_um_zyx"), (2.0, 1.0, 1.0))
    settings = with_value(settings, ("run", "size", "diameter"), 12.5)
    form.set_settings(settings)
    assert not sent
    assert form.settings == settings


@pytest.mark.parametrize("name", ["window", "diameter"])
def test_words_and_numbers_in_one_field(form: SettingsForm, name: str) -> None:
    section = {"window": "inference", "diameter": "size"}[name]
    editor = form.editor("run", section, name)
    assert isinstance(editor, NumberEditor)
    assert editor.box is not None
    editor.box.activated.emit(2)
    assert isinstance(value_at(form.settings.run, (section, name)), (int, float))
    editor.box.activated.emit(0)
    assert value_at(form.settings.run, (section, name)) in ("auto", None)


def test_flags_and_choices(form: SettingsForm) -> None:
    flag = form.editor("run", "inference", "flip_averaging")
    assert isinstance(flag, FlagEditor)
    flag.box.click()
    assert form.settings.run.inference.flip_averaging
    method = form.editor("run", "instances", "method")
    assert isinstance(method, ChoiceEditor)
    method.box.activated.emit(3)
    assert form.settings.run.instances.method == "watershed"


def test_voxel_size(form: SettingsForm) -> None:
    size = form.editor("run", "data", "voxel_size_um_zyx")
    assert isinstance(size, TripleEditor)
    size.suggest((2.0, 0.5, 0.5))
    size.box.activated.emit(1)
    assert form.settings.run.data.voxel_size_um_zyx == (2.0, 0.5, 0.5)


def test_wnet_disables_what_does_not_apply_and_says_why(form: SettingsForm) -> None:
    settings = with_value(FormSettings(), ("run", "network", "name"), "WNet").run
    form.set_circumstances(Circumstances(settings, card()))
    assert not form.editor("run", "inference", "window").isEnabled()
    assert form.editor("run", "threshold", "class_choice").isEnabled()
    assert "64 voxels" in form.sections["inference"].reasons.text()


def test_options_of_other_methods_are_disabled() -> None:
    settings = with_value(FormSettings(), ("run", "instances", "method"), "watershed").run
    why = reasons(Circumstances(settings))
    assert ("run", "instances", "spot_sigma") in why
    assert ("run", "instances", "seed_threshold") not in why
    assert "watershed" in why["run", "instances", "spot_sigma"]


def test_every_control_can_be_reached_and_has_a_name(
    form: SettingsForm, qapp: QApplication
) -> None:
    for section in form.sections.values():
        section.head.setChecked(True)
    for kind in (QComboBox, QAbstractSpinBox, QLineEdit):
        controls: list[QWidget] = form.findChildren(kind)
        for control in controls:
            if isinstance(control.parent(), (QAbstractSpinBox, QComboBox)):
                continue
            assert control.accessibleName(), control
            assert control.focusPolicy().value & 1, "Tab reaches it"


def test_a_box_is_typed_and_a_wrong_one_is_explained(form: SettingsForm, qtbot: QtBot) -> None:
    form.show()
    form.sections["region"].head.setChecked(True)
    editor = form.editor("run", "region", "box")
    assert isinstance(editor, BoxEditor)
    qtbot.keyClicks(editor.line, "0:10, :, 5:")
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)
    assert form.settings.run.region.box == "0:10,:,5:"
    assert editor.line.text() == "0:10,:,5:"
    editor.line.setText("10")
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)
    assert form.settings.run.region.box == "0:10,:,5:"
    message = form._rows["run", "region", "box"].message
    assert "three ranges" in message.text()
    assert message.isVisible()
    editor.line.clear()
    qtbot.keyClick(editor.line, Qt.Key.Key_Return)
    assert form.settings.run.region.is_whole


def test_a_list_is_as_wide_as_its_longest_text(qtbot: QtBot) -> None:
    box = ComboBox()
    qtbot.addWidget(box)
    text = "Graphics card with a very long name (24.0 GiB of memory)"
    box.addItems(["Automatic", text])
    box.setFixedWidth(90)
    box.show()
    box.showPopup()
    assert box.view().width() >= box.fontMetrics().horizontalAdvance(text)
    box.hidePopup()
