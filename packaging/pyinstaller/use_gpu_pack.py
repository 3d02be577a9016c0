"""Runs before either frozen program: takes torch from a GPU pack, where there is a usable one.

`packaging/gpu/add_gpu_support` puts a torch for graphics cards into the user's data folder and,
when it has tried it, `pack.json` beside it. Without that file, or with one for another Python or
another torch, the torch inside is used. `CELLSEG_NO_GPU_PACK=1` does without it.
"""


def _use_gpu_pack() -> None:
    import json
    import os
    import sys
    from pathlib import Path

    import platformdirs

    if os.environ.get("CELLSEG_NO_GPU_PACK") == "1":
        return
    data = os.environ.get("CELLSEG_DATA") or platformdirs.user_data_path("CellSeg", appauthor=False)
    pack = Path(data) / "gpu"
    try:
        made_for = json.loads((pack / "pack.json").read_text(encoding="utf-8"))
        inside = (Path(sys._MEIPASS) / "torch" / "version.py").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    python = ".".join(map(str, sys.version_info[:2]))
    torch = str(made_for.get("torch", "")).partition("+")[0]
    if made_for.get("python") == python and torch and f"'{torch}" in inside:
        sys.path.insert(0, str(pack))


_use_gpu_pack()
