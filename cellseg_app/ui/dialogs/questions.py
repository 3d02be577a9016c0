"""Questions before something of the user's would be lost."""

from __future__ import annotations

from typing import Literal

from PySide6.QtWidgets import QMessageBox, QWidget

Answer = Literal["save", "discard", "cancel"]


def what_of_corrections(parent: QWidget) -> Answer:
    """Ask what becomes of corrections that are not saved."""
    button = QMessageBox.StandardButton
    box = _question(parent, "Cells were corrected by hand, and the corrections are not saved.")
    box.setInformativeText("Saving writes the corrected result beside the other one.")
    box.setStandardButtons(button.Save | button.Discard | button.Cancel)
    box.setDefaultButton(button.Save)
    answers: dict[int, Answer] = {button.Save: "save", button.Discard: "discard"}
    return answers.get(box.exec(), "cancel")


def may_lose_corrections(n_results: int, parent: QWidget) -> bool:
    """Ask whether cells of corrected results may be told apart anew."""
    which = "This result was" if n_results == 1 else f"{n_results:,} of these results were"
    box = _question(parent, f"{which} corrected by hand.")
    box.setInformativeText(
        "The cells are told apart anew from the probability map, without the corrections. The "
        "corrected files stay where they are."
    )
    go_on = box.addButton("Tell them apart anew", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    box.exec()
    return box.clickedButton() is go_on


def _question(parent: QWidget, text: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("CellSeg")
    box.setText(text)
    return box
