"""The box that runs are restricted to: taken from the view, and framed in it."""

from __future__ import annotations

from PySide6.QtCore import QObject

from cellseg_app.core.blocks import whole
from cellseg_app.core.box import box_text, resolve_box
from cellseg_app.ui.controllers.form_controller import FormController
from cellseg_app.ui.controllers.scene import SceneController
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.forms.field_specs import FieldPath
from cellseg_app.ui.forms.form import SettingsForm
from cellseg_app.ui.forms.special_editors import BoxEditor

_BOX: FieldPath = ("run", "region", "box")


class RegionController(QObject):
    """Between the form's box and the frame in the viewer."""

    def __init__(
        self, desk: Desk, scene: SceneController, control: FormController, form: SettingsForm
    ) -> None:
        super().__init__()
        self._desk, self._scene, self._control = desk, scene, control
        editor = form.editor(*_BOX)
        assert isinstance(editor, BoxEditor)
        editor.visible_asked.connect(self.take_visible)
        desk.actions["use_visible"].triggered.connect(lambda _=False: self.take_visible())
        control.edited.connect(self._on_form_edited)
        self._frame()

    def take_visible(self) -> None:
        """Restrict runs to what is in view; all of it means no restriction."""
        layers = self._scene.viewer.layers
        if not layers:
            return
        region = self._scene.viewer.visible_region()
        is_all = region == whole(layers[0].shape_zyx)
        self._control.set_value(_BOX, None if is_all else box_text(region))

    def _on_form_edited(self, path: FieldPath) -> None:
        if not path or path[:2] == _BOX[:2]:
            self._frame()

    def _frame(self) -> None:
        box = self._desk.session.form.run.region.box
        self._scene.set_region(None if box is None else lambda shape: resolve_box(box, shape))
