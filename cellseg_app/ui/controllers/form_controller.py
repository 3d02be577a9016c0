"""The form's surroundings: weights, devices, presets, and what does not apply."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from cellseg_app.core.errors import UserError
from cellseg_app.core.settings import NetworkSettings, RunSettings
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.catalog import find_weights, list_weights
from cellseg_app.io.run_record import read_record
from cellseg_app.state.presets import (
    delete_preset,
    list_presets,
    load_preset,
    presets_folder,
    save_preset,
)
from cellseg_app.state.settings import FormSettings
from cellseg_app.ui.desk import Desk
from cellseg_app.ui.forms.applicability import METHOD_OPTIONS, Circumstances
from cellseg_app.ui.forms.editors import NumberEditor
from cellseg_app.ui.forms.field_specs import FieldPath
from cellseg_app.ui.forms.form import SettingsForm
from cellseg_app.ui.forms.special_editors import ListEditor, TripleEditor
from cellseg_app.ui.panels.run_bar import RunBar
from cellseg_app.workers.runs import EngineReady, recognizing

_GIB = 1024**3
_SAVE_DELAY_MS = 800


class FormController(QObject):
    """Keeps form, session and the installed weights in step.

    Signals
    -------
    edited
        Path of the field that the user changed; empty when many changed.
    """

    edited = Signal(object)

    def __init__(self, desk: Desk, form: SettingsForm, bar: RunBar) -> None:
        super().__init__()
        self._desk, self._form, self._bar = desk, form, bar
        self._entries = list_weights()
        self._has_dask = find_spec("distributed") is not None
        self._recognized: dict[str, ModelCard | None] = {}
        self._default_paths: dict[str, Path | None] = {}
        self._saving = QTimer(self)
        self._saving.setSingleShot(True)
        self._saving.setInterval(_SAVE_DELAY_MS)
        self._saving.timeout.connect(desk.remember)
        form.edited.connect(self._on_form_edited)
        bar.preset_chosen.connect(self._on_preset_chosen)
        bar.preset_removed.connect(self._on_preset_removed)
        desk.session.form = desk.user.form
        form.set_settings(desk.user.form)
        self._list_devices(())
        self.refresh()
        self.refresh_presets()

    def refresh(self) -> None:
        """Look again at what does not apply."""
        settings = self._desk.session.run_settings(self._desk.session.current)
        self._list_weights(settings.network.name)
        item = self._desk.session.current_item
        info = None if item is None else item.info
        card = self._card(settings)
        self._form.set_circumstances(Circumstances(settings, card, info, self._has_dask))
        self._suggest(card, info)

    def set_engine(self, ready: EngineReady) -> None:
        """Offer the processors of this machine; weights of the last time can be recognized."""
        self._recognize(self._desk.session.form.run.network.weights)
        self._list_devices(
            tuple(
                (device.name, f"{device.title}, {device.memory_bytes / _GIB:.0f} GiB")
                for device in ready.devices
            )
        )

    def take(self, form: FormSettings) -> None:
        """Show other settings, as if the user had entered them all."""
        self._form.set_settings(form)
        self._on_form_edited(form, ())

    def take_run(self, run: RunSettings) -> None:
        """Show other settings of the run; folder and display stay."""
        self.take(self._desk.session.form.model_copy(update={"run": run}))

    def set_value(self, path: FieldPath, value: object) -> None:
        """Set one field, as if the user had."""
        self._form.editor(*path).edited.emit(value)

    # ---- Presets ----

    def refresh_presets(self) -> None:
        """List the presets anew."""
        self._bar.set_presets(list_presets(presets_folder()))

    def ask_save_preset(self, parent: QWidget) -> None:
        """Let the user name a preset."""
        name, is_given = QInputDialog.getText(parent, "Save preset", "Name of the preset:")
        if is_given and name.strip():
            self.save_preset(name.strip())

    def save_preset(self, name: str) -> None:
        """Save the settings under a name."""
        try:
            save_preset(presets_folder(), name, self._desk.session.form.run)
        except UserError as error:
            self._desk.warn(error)
        self.refresh_presets()

    def ask_load_preset(self, parent: QWidget) -> None:
        """Let the user choose a file of settings, or a run record."""
        chosen, _ = QFileDialog.getOpenFileName(parent, "Load preset", "", "Settings (*.json)")
        if chosen:
            self._load_preset(Path(chosen))

    def _on_preset_chosen(self, name: str) -> None:
        self._load_preset(presets_folder() / f"{name}.json")

    def _load_preset(self, path: Path) -> None:
        try:
            self.take_run(load_preset(path))
        except UserError as error:
            try:
                # A run record holds settings too.
                self.take_run(read_record(path).settings)
            except UserError:
                self._desk.warn(error)

    def _on_preset_removed(self, name: str) -> None:
        try:
            delete_preset(presets_folder() / f"{name}.json")
        except UserError as error:
            self._desk.warn(error)
        self.refresh_presets()

    # ---- Private ----

    def _on_form_edited(self, form: FormSettings, path: FieldPath) -> None:
        before = self._desk.session.form.run.network
        if path == ("run", "network", "name") and form.run.network.weights is not None:
            # Weights belong to one network.
            network = form.run.network.model_copy(update={"weights": None})
            run = form.run.model_copy(update={"network": network})
            form = form.model_copy(update={"run": run})
            self._form.set_settings(form)
        elif path == ("run", "network", "weights"):
            form = self._with_network_of_weights(form)
        self._desk.session.form = form
        # A slider sends many values; the disk gets the last one.
        self._desk.user = self._desk.user.model_copy(update={"form": form})
        self._saving.start()
        if form.run.network != before:
            self._recognize(form.run.network.weights)
        self.refresh()
        self.edited.emit(path)

    def _with_network_of_weights(self, form: FormSettings) -> FormSettings:
        weights = form.run.network.weights
        entry = next((e for e in self._entries if e.name == weights), None)
        if entry is None or entry.architecture in ("custom", "?"):
            return form
        network = form.run.network.model_copy(update={"name": entry.architecture})
        form = form.model_copy(update={"run": form.run.model_copy(update={"network": network})})
        self._form.set_settings(form)
        return form

    def _list_weights(self, network: str) -> None:
        editor = self._form.editor("run", "network", "weights")
        assert isinstance(editor, ListEditor)
        entries: list[tuple[object, str, bool]] = [(None, self._default_title(network), True)]
        for entry in self._entries:
            if entry.architecture not in (network, "custom"):
                continue
            is_here = entry.origin != "published" and not entry.problem
            title = entry.title if is_here else f"{entry.title} ({entry.problem or 'not here'})"
            if entry.origin == "published":
                title = entry.title
            entries.append((entry.name, title, is_here))
        editor.set_entries(entries)

    def _default_title(self, network: str) -> str:
        is_there = self._default_path(network) is not None
        return "Bundled" if is_there else "None installed: choose a file"

    def _default_path(self, network: str) -> Path | None:
        # Asked for with every move of a slider: the disk is looked at once.
        if network not in self._default_paths:
            try:
                self._default_paths[network] = find_weights(network)
            except UserError:
                self._default_paths[network] = None
        return self._default_paths[network]

    def _list_devices(self, devices: tuple[tuple[str, str], ...]) -> None:
        editor = self._form.editor("run", "inference", "device")
        assert isinstance(editor, ListEditor)
        fastest = f" ({devices[0][1]})" if devices else ""
        automatic: tuple[object, str, bool] = ("auto", f"Automatic{fastest}", True)
        editor.set_entries([automatic, *((name, title, True) for name, title in devices)])

    def _card(self, settings: RunSettings) -> ModelCard | None:
        weights = settings.network.weights
        if weights in self._recognized:
            return self._recognized[weights]
        if weights is None:
            path = self._default_path(settings.network.name)
            return next((e.card for e in self._entries if path and e.card_path == path), None)
        return next((e.card for e in self._entries if e.name == weights), None)

    def _recognize(self, weights: str | None) -> None:
        """Find out what a weights file of the user's own is; that takes torch and time."""
        if weights is None or weights in self._recognized:
            return
        if any(entry.name == weights for entry in self._entries):
            return
        handle = self._desk.lanes.engine.submit("Recognizing weights", recognizing(weights))
        self._desk.watch(handle, lambda card: self._on_recognized(weights, card))

    def _on_recognized(self, weights: str, card: object) -> None:
        if not isinstance(card, ModelCard):
            return
        self._recognized[weights] = card
        form = self._desk.session.form
        network = form.run.network
        if network.weights == weights and card.architecture not in (network.name, "custom"):
            network = NetworkSettings(name=card.architecture, weights=weights)
            run = form.run.model_copy(update={"network": network})
            self.take(form.model_copy(update={"run": run}))
        self.refresh()

    def _suggest(self, card: ModelCard | None, info: object) -> None:
        threshold = self._form.editor("run", "threshold", "threshold")
        if isinstance(threshold, NumberEditor):
            threshold.suggest(0.5 if card is None else card.default_threshold)
        options = dict(card.default_instance_options) if card is not None else {}
        for name in dict.fromkeys(n for names in METHOD_OPTIONS.values() for n in names):
            editor = self._form.editor("run", "instances", name)
            value = options.get(name)
            if isinstance(editor, NumberEditor) and isinstance(value, (int, float)):
                editor.suggest(float(value))
        classes = self._form.editor("run", "threshold", "class_choice")
        if card is not None and isinstance(classes, NumberEditor):
            classes.set_bounds(0, max(0, card.classes - 1))
        size = self._form.editor("run", "data", "voxel_size_um_zyx")
        if isinstance(size, TripleEditor):
            size.suggest(getattr(info, "spacing_um_zyx", None))
