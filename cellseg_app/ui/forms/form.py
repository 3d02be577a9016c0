"""The form at the right: sections of generated fields, with help, reset and reasons."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from cellseg_app.state.settings import FormSettings
from cellseg_app.ui.forms.applicability import Circumstances, reasons
from cellseg_app.ui.forms.editor_base import Editor
from cellseg_app.ui.forms.editors import make_editor
from cellseg_app.ui.forms.field_specs import (
    FieldPath,
    FieldSpec,
    SectionSpec,
    form_sections,
    value_at,
    with_value,
)

_OPEN_AT_FIRST: Final = ("network", "threshold", "instances", "output")
_LABEL_WIDTH: Final = 98


class _Row:
    """Label, editor, reset button and message of one field."""

    def __init__(self, spec: FieldSpec, grid: QGridLayout, row: int) -> None:
        self.spec = spec
        self.editor = make_editor(spec)
        self.label = QLabel(spec.title)
        self.label.setWordWrap(True)
        self.label.setFixedWidth(_LABEL_WIDTH)
        self.label.setBuddy(self.editor)
        self.reset = QToolButton()
        self.reset.setText("↺")
        self.reset.setAutoRaise(True)
        self.reset.setToolTip(f"Reset {spec.title} to its default")
        self.reset.setAccessibleName(f"Reset {spec.title}")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setProperty("role", "hint")
        self.message.hide()
        grid.addWidget(self.label, 2 * row, 0)
        grid.addWidget(self.editor, 2 * row, 1)
        grid.addWidget(self.reset, 2 * row, 2)
        grid.addWidget(self.message, 2 * row + 1, 0, 1, 3)
        self.set_reason("")

    def set_reason(self, reason: str) -> None:
        """Disable the field for a reason, or enable it."""
        is_enabled = not reason
        self.editor.setEnabled(is_enabled)
        self.label.setEnabled(is_enabled)
        help_text = f"{self.spec.help}\n{reason}".strip()
        for widget in (self.label, self.editor):
            widget.setToolTip(help_text)
        self.editor.setAccessibleDescription(help_text)

    def show(self, value: object) -> None:
        """Show a value; a message about an earlier one goes."""
        self.editor.show_value(value)
        is_default = value == self.spec.default
        self.reset.setEnabled(not is_default)
        self.reset.setText("" if is_default else "↺")
        self.message.hide()

    def refuse(self, problem: str) -> None:
        """Say why a value is not taken."""
        self.message.setText(problem)
        self.message.setProperty("role", "error")
        self.message.style().polish(self.message)
        self.message.show()


class _SectionBox(QFrame):
    """A heading that opens and closes its rows; names the reasons that concern all of them."""

    def __init__(self, spec: SectionSpec) -> None:
        super().__init__()
        self.spec = spec
        self.head = QToolButton()
        self.head.setText(spec.title)
        self.head.setProperty("role", "section")
        self.head.setCheckable(True)
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.head.setToolTip(f"Show or hide {spec.title}")
        self.head.setAccessibleName(f"Section {spec.title}")
        self.head.toggled.connect(self._on_q_toggled)
        self.body = QWidget()
        grid = QGridLayout(self.body)
        grid.setContentsMargins(8, 2, 2, 6)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        self.rows = [_Row(field, grid, index) for index, field in enumerate(spec.fields)]
        self.reasons = QLabel()
        self.reasons.setWordWrap(True)
        self.reasons.setProperty("role", "hint")
        grid.addWidget(self.reasons, 2 * len(self.rows), 0, 1, 3)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.head)
        box.addWidget(self.body)
        self._on_q_toggled(False)

    def say(self, sentences: list[str]) -> None:
        """Show the reasons why rows are disabled."""
        self.reasons.setText("\n".join(dict.fromkeys(sentences)))
        self.reasons.setVisible(bool(sentences))

    def _on_q_toggled(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.head.setArrowType(arrow)
        self.body.setVisible(is_open)


class SettingsForm(QScrollArea):
    """The whole form.

    Signals
    -------
    edited
        The new `FormSettings`, and the path of the field that the user changed.
    """

    edited = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Settings")
        self._settings = FormSettings()
        self.sections = {spec.key: _SectionBox(spec) for spec in form_sections()}
        self._rows: dict[FieldPath, _Row] = {}
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(4, 4, 4, 4)
        column.setSpacing(2)
        for key, section in self.sections.items():
            column.addWidget(section)
            section.head.setChecked(key in _OPEN_AT_FIRST)
            for row in section.rows:
                self._rows[row.spec.path] = row
                self._connect(row)
        column.addStretch(1)
        self.setWidget(content)
        self.set_settings(self._settings)

    @property
    def settings(self) -> FormSettings:
        """What the form holds."""
        return self._settings

    def editor(self, *path: str) -> Editor:
        """The editor of a field."""
        return self._rows[path].editor

    def set_settings(self, settings: FormSettings) -> None:
        """Show settings; `edited` is not sent."""
        self._settings = settings
        for path, row in self._rows.items():
            row.show(value_at(settings, path))

    def set_circumstances(self, now: Circumstances) -> None:
        """Disable what does nothing for the network and volume at hand, and say why."""
        why = reasons(now)
        for section in self.sections.values():
            told = []
            for row in section.rows:
                reason = why.get(row.spec.path, "")
                row.set_reason(reason)
                if reason:
                    told.append(reason)
            section.say(told)

    def reset(self) -> None:
        """Set every field back to its default, as if the user had done it."""
        self.set_settings(FormSettings())
        self.edited.emit(self._settings, ())

    def _connect(self, row: _Row) -> None:
        row.editor.edited.connect(lambda value: self._on_edited(row, value))
        row.reset.clicked.connect(lambda: self._on_edited(row, row.spec.default))

    def _on_edited(self, row: _Row, value: object) -> None:
        try:
            changed = with_value(self._settings, row.spec.path, value)
        except ValidationError as error:
            row.refuse(error.errors()[0]["msg"].removeprefix("Value error, "))
            return
        self._settings = changed
        row.show(value_at(changed, row.spec.path))
        self.edited.emit(changed, row.spec.path)
