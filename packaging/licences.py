"""Collects the licences of everything inside the frozen program, and its bill of materials.

    TOOLS/bin/python packaging/licences.py --python BUILD/bin/python dist/CellSeg

Writes into the program's `licences` folder: `THIRD_PARTY_LICENCES.txt`, the texts, by
pip-licenses; `cellseg.cdx.json`, the bill of materials in CycloneDX, by cyclonedx-py. Libraries
that were taken from a Debian system are named in both, with Debian's copyright texts.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).resolve().parent
_LINE: Final = "=" * 78
_SYSTEM_FOLDERS: Final = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
# Its start program is part of ours.
_ALSO_INSIDE: Final = "pyinstaller"


def inside(python: Path) -> list[str]:
    """Names of the Python packages in the frozen program."""
    code = "from runtime_packages import runtime_packages; print(*runtime_packages())"
    return [*_said(python, "-c", code, cwd=_HERE / "pyinstaller").split(), _ALSO_INSIDE]


def licence_texts(python: Path, names: list[str]) -> str:
    """Name, version, licence and its text of every package."""
    tool = Path(sys.executable).with_name("pip-licenses")
    options = ("--with-system", "--with-urls", "--with-license-file", "--with-notice-file")
    return _said(
        tool, "--python", str(python), *options, "--no-license-path",
        "--format", "plain-vertical", "--packages", *names,
    )  # fmt: skip


def bill_of_materials(python: Path, names: list[str], version: str) -> dict[str, Any]:
    """CycloneDX document of what is inside; the build's own tools are left out."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    text = _said(tool, "environment", "--output-reproducible", "--of", "JSON", str(python))
    bill: dict[str, Any] = json.loads(text)
    wanted = set(names)
    bill["components"] = [c for c in bill["components"] if _normal(c["name"]) in wanted]
    kept = {component["bom-ref"] for component in bill["components"]}
    bill["dependencies"] = [
        {**entry, "dependsOn": [ref for ref in entry.get("dependsOn", ()) if ref in kept]}
        for entry in bill["dependencies"]
        if entry["ref"] in kept
    ]
    bill["metadata"]["component"] = {
        "type": "application",
        "bom-ref": "cellseg",
        "name": "CellSeg",
        "version": version,
        "licenses": [{"license": {"id": "BSD-3-Clause"}}],
    }
    return bill


def debian_packages(bundle: Path) -> dict[str, str]:
    """Debian packages, and their versions, that libraries in the folder were taken from."""
    found: dict[str, str] = {}
    for library in sorted((bundle / "_internal").glob("*.so*")):
        places = [f"{folder}/{library.name}" for folder in _SYSTEM_FOLDERS]
        if not any(Path(place).exists() for place in places):
            continue
        owner = subprocess.run(["dpkg", "-S", *places], capture_output=True, text=True, check=False)
        match = re.match(r"([^:,\s]+)", owner.stdout)
        if match:
            query = ("dpkg-query", "-W", "-f", "${Version}\n", match[1])
            found[match[1]] = _said(*query).splitlines()[0]
    return found


def _debian_texts(packages: dict[str, str]) -> list[str]:
    parts = []
    for name, version in packages.items():
        text = Path(f"/usr/share/doc/{name}/copyright").read_text(encoding="utf-8")
        parts.append(f"{_LINE}\n{name} {version} (from Debian)\n\n{text}")
    return parts


def _python_text(python: Path) -> str:
    home = Path(
        _said(python, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))").strip()
    )
    licence = home / "LICENSE.txt"
    text = (
        licence.read_text(encoding="utf-8") if licence.is_file() else "See https://www.python.org"
    )
    return f"{_LINE}\nPython {_said(python, '-V').split()[1]}\n\n{text}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _said(*command: str | Path, cwd: Path | None = None) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, check=True, text=True, stdout=subprocess.PIPE).stdout


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="of the build environment")
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    python, names = arguments.python, inside(arguments.python)
    debian = debian_packages(arguments.bundle) if sys.platform.startswith("linux") else {}
    bill = bill_of_materials(python, names, arguments.version)
    for name, version in debian.items():
        purl = f"pkg:deb/debian/{name}@{version}"
        bill["components"].append(
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        )
    missing = set(names) - {_normal(component["name"]) for component in bill["components"]}
    if missing:
        sys.exit(f"The bill of materials lacks {', '.join(sorted(missing))}.")
    folder = arguments.bundle / "_internal" / "licences"
    folder.mkdir(exist_ok=True)
    (folder / "cellseg.cdx.json").write_text(json.dumps(bill, indent=1), encoding="utf-8")
    texts = [licence_texts(python, names), _python_text(python), *_debian_texts(debian)]
    (folder / "THIRD_PARTY_LICENCES.txt").write_text("\n".join(texts), encoding="utf-8")
    print(f"licences: {len(names)} Python packages, {len(debian)} of Debian, and Python")


if __name__ == "__main__":
    main()
