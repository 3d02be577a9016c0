"""The form's surroundings: weights, devices, presets, and what does not apply."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QInputDialog, QWidget

from cellseg_app.core.errors import UserError, WeightsError
from cellseg_app.core.settings import RunSettings
from cellseg_app.inference.cards import ModelCard
from cellseg_app.inference.catalog import WeightsEntry, find_weights, list_weights, weights_info
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
from cellseg_app.ui.forms.editors import ListEditor, NumberEditor, TripleEditor
from cellseg_app.ui.forms.field_specs import FieldPath
from cellseg_app.ui.forms.form import SettingsForm
from cellseg_app.ui.panels.run_bar import RunBar
from cellseg_app.workers.runs import EngineReady

_GIB = 1024**3


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
        self._entries: list[WeightsEntry] = []
        form.edited.connect(self._on_form_edited)
        bar.preset_chosen.connect(self._on_preset_chosen)
        bar.preset_removed.connect(self._on_preset_removed)
        desk.session.form = desk.user.form
        form.set_settings(desk.user.form)
        self._list_devices(())
        self.refresh()
        self.refresh_presets()

    def refresh(self) -> None:
        """Look again at installed weights and at what does not apply."""
        self._entries = list_weights()
        settings = self._desk.session.form.run
        self._list_weights(settings.network.name)
        item = self._desk.session.current_item
        info = None if item is None else item.info
        card = self._card(settings)
        self._form.set_circumstances(Circumstances(settings, card, info))
        self._suggest(card, info)

    def set_engine(self, ready: EngineReady) -> None:
        """Offer the processors of this machine."""
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
        self._desk.remember(form=form)
        if form.run.network != before or path[:2] != ("run", "network"):
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
        try:
            path = find_weights(network)
        except UserError:
            return "None installed: choose a file"
        return f"Bundled ({path.stem})"

    def _list_devices(self, devices: tuple[tuple[str, str], ...]) -> None:
        editor = self._form.editor("run", "inference", "device")
        assert isinstance(editor, ListEditor)
        fastest = f" ({devices[0][1]})" if devices else ""
        automatic: tuple[object, str, bool] = ("auto", f"Automatic{fastest}", True)
        editor.set_entries([automatic, *((name, title, True) for name, title in devices)])

    def _card(self, settings: RunSettings) -> ModelCard | None:
        weights = settings.network.weights
        try:
            # A file without a card is recognized by the engine; that takes torch and time.
            known = weights is None or any(e.name == weights for e in self._entries)
            if weights is not None and not known and not _has_card(Path(weights)):
                return None
            return weights_info(weights or settings.network.name).card
        except (WeightsError, UserError):
            return None

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


def _has_card(path: Path) -> bool:
    from cellseg_app.inference.cards import card_path_for, looks_like_card

    return looks_like_card(path if path.suffix == ".json" else card_path_for(path))
