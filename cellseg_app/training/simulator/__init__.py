"""Simulated fluorescent nuclei volumes with true labels."""

from cellseg_app.training.simulator.settings import PresetName, SimulationSettings
from cellseg_app.training.simulator.stream import simulate_stream, simulate_to_folder
from cellseg_app.training.simulator.volume import SimulatedVolume, simulate_volume

__all__ = [
    "PresetName",
    "SimulatedVolume",
    "SimulationSettings",
    "simulate_stream",
    "simulate_to_folder",
    "simulate_volume",
]
