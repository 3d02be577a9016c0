"""What the installers are made from: one version everywhere, files that their systems can read."""

from __future__ import annotations

import configparser
import plistlib
import re
import runpy
import shutil
import subprocess
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from cellseg_app import __version__
from tests.conftest import REPOSITORY

yaml = pytest.importorskip("yaml")
PACKAGING = REPOSITORY / "packaging"
SETUP = (REPOSITORY / "installer.iss").read_text(encoding="utf-8-sig")


def module(name: str) -> dict[str, Any]:
    """The names of one of packaging's own scripts."""
    return runpy.run_path(str(PACKAGING / name))


def test_the_changelog_tells_of_this_version() -> None:
    said = subprocess.run(
        ["bash", str(PACKAGING / "release_date.sh")], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\n", said.stdout)
    headings = re.findall(r"^## (\S+) ", (PACKAGING / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == __version__


def test_the_version_stands_in_one_place_only() -> None:
    sources = [REPOSITORY / "pyproject.toml", REPOSITORY / "installer.iss"]
    sources += [p for p in PACKAGING.rglob("*") if p.suffix in (".sh", ".ps1", ".xml", ".spec")]
    assert len(sources) > 10
    stated = re.compile(
        rf"\bversion\b.*{re.escape(__version__)}|AppVersion {re.escape(__version__)}"
    )
    for source in sources:
        assert not stated.search(source.read_text("utf-8")), f"{source} states a version"


def test_windows_tells_the_version_of_both_programs() -> None:
    properties = module("pyinstaller/file_properties.py")
    for program in ("cellseg-app", "cellseg"):
        text = properties["version_resource"](program, "1.2.3")
        compile(text, program, "eval")
        assert "filevers=(1, 2, 3, 0)" in text
        assert f"'OriginalFilename', '{program}.exe'" in text


def test_the_setup_and_the_program_know_each_other() -> None:
    bootstrap = (REPOSITORY / "cellseg_app" / "bootstrap.py").read_text("utf-8")
    mutex = re.search(r"^AppMutex=(\w+)", SETUP, re.M)
    assert mutex is not None
    assert f'"{mutex[1]}"' in bootstrap
    model = re.search(r'AppUserModelID: "(\w+)"', SETUP)
    assert model is not None
    assert f'ID("{model[1]}")' in bootstrap
    for icon in re.findall(r"^SetupIconFile=(.+)$", SETUP, re.M):
        assert (REPOSITORY / icon.strip().replace("\\", "/")).is_file()


def test_the_setup_takes_no_default_and_leaves_no_old_library() -> None:
    section = SETUP.split("[Registry]")[1].split("\n[")[0]
    own = [line for line in section.splitlines() if re.search(r"\\\.tiff?[\\\"]", line)]
    assert own
    assert all("OpenWithProgids" in line for line in own)
    assert r'Name: "{app}\_internal"' in SETUP.split("[InstallDelete]")[1].split("\n[")[0]


def test_macos_reads_the_property_lists() -> None:
    entitlements = plistlib.loads((PACKAGING / "macos" / "entitlements.plist").read_bytes())
    assert entitlements["com.apple.security.cs.disable-library-validation"] is True
    info = module("pyinstaller/file_properties.py")["mac_info"](__version__)
    again = plistlib.loads(plistlib.dumps(info))
    assert again["CFBundleShortVersionString"] == __version__
    assert again["CFBundleDocumentTypes"][0]["LSHandlerRank"] == "Alternate"


def test_the_linux_desktop_finds_program_icon_and_types() -> None:
    identifier = "org.cellseg.CellSeg"
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(PACKAGING / "linux" / f"{identifier}.desktop", encoding="utf-8")
    assert entry["Desktop Entry"]["Icon"] == identifier
    program = (REPOSITORY / "cellseg_app" / "app.py").read_text("utf-8")
    assert f'setDesktopFileName("{identifier}")' in program
    types = ET.parse(PACKAGING / "linux" / f"{identifier}.mime.xml").getroot()
    defined = {kind.attrib["type"] for kind in types}
    assert defined <= set(entry["Desktop Entry"]["MimeType"].split(";"))
    about = ET.parse(PACKAGING / "linux" / f"{identifier}.metainfo.xml").getroot()
    assert about.findtext("launchable") == f"{identifier}.desktop"


def test_the_release_workflow_runs_scripts_that_exist() -> None:
    text = (REPOSITORY / ".github" / "workflows" / "release.yml").read_text("utf-8")
    assert set(yaml.safe_load(text)["jobs"]) == {"linux", "windows", "macos", "publish"}
    scripts = re.findall(r"(packaging[\\/][\w\\/.]+\.(?:sh|ps1))", text)
    assert len(scripts) > 5
    for script in scripts:
        assert (REPOSITORY / script.replace("\\", "/")).is_file(), script


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_shell_scripts_are_well_formed() -> None:
    scripts = sorted(PACKAGING.rglob("*.sh"))
    assert len(scripts) > 10
    for script in scripts:
        command = ["bash", "-n", str(script)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_what_is_frozen_are_the_requirements_and_theirs() -> None:
    pytest.importorskip("tomllib")
    names = module("pyinstaller/runtime_packages.py")["runtime_packages"]()
    assert {"torch", "sympy", "pyside6-essentials", "shiboken6", "openvino"} <= set(names)
    assert not {"pytest", "ruff", "openvino-telemetry", "cellseg-app"} & set(names)
