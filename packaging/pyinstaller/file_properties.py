"""What the file manager tells of the programs: Windows' version resource, macOS' Info.plist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_PUBLISHER = "The CellSeg authors"
_PURPOSES = {"cellseg-app": "CellSeg", "cellseg": "CellSeg command line"}

_VERSION_RESOURCE = """\
VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3f, flags=0x0, OS=0x40004,
                    fileType=0x1, subtype=0x0, date=(0, 0)),
  kids=[
    StringFileInfo([StringTable("040904B0", [{strings}])]),
    VarFileInfo([VarStruct("Translation", [0x409, 1200])]),
  ],
)
"""


def version_resource(program: str, version: str) -> str:
    """The version resource of one program, in the form that PyInstaller reads."""
    numbers = (*(int(part) for part in version.split(".")[:3]), 0)
    texts = {
        "CompanyName": _PUBLISHER,
        "FileDescription": _PURPOSES[program],
        "FileVersion": version,
        "InternalName": program,
        "LegalCopyright": f"{_PUBLISHER}, BSD 3-Clause licence",
        "OriginalFilename": f"{program}.exe",
        "ProductName": "CellSeg",
        "ProductVersion": version,
    }
    strings = ", ".join(f"StringStruct({key!r}, {text!r})" for key, text in texts.items())
    return _VERSION_RESOURCE.format(numbers=numbers, strings=strings)


def written(program: str, version: str, folder: str) -> str:
    """Write the version resource of one program; returns its path."""
    path = Path(folder) / f"{program}-version.txt"
    path.write_text(version_resource(program, version), encoding="utf-8")
    return str(path)


def mac_info(version: str) -> dict[str, Any]:
    """What goes into Info.plist beside PyInstaller's own entries."""
    return {
        "CFBundleName": "CellSeg",
        "CFBundleDisplayName": "CellSeg",
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        "LSApplicationCategoryType": "public.app-category.education",
        "LSMinimumSystemVersion": "13.0",
        "NSHighResolutionCapable": True,
        "NSHumanReadableCopyright": f"{_PUBLISHER}, BSD 3-Clause licence",
        # Offered in "Open with"; the default stays what the user has.
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": "Microscopy image stack",
                "CFBundleTypeRole": "Viewer",
                "LSHandlerRank": "Alternate",
                "LSItemContentTypes": ["public.tiff"],
            }
        ],
    }
