"""What is in the wheel, what is pinned, and what no file of the tree may say."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import basereward

ROOT = Path(__file__).resolve().parents[2]
TOP = {"basereward": "basereward", "conf": "basereward.conf", "data_recipes": "basereward.data_recipes"}
# Folders of one machine. Spelled in pieces, so that this file does not name them itself.
STARTS = ("/home", "/root", "/work", "/Users", "/mnt", "/scratch")
MACHINE_PATHS = re.compile("|".join(f"{start}/[a-z]" for start in STARTS))


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_packages_are_the_folders_with_python_files(setup):
    found = {
        TOP[top] + "".join(f".{part}" for part in file.parent.relative_to(ROOT / top).parts)
        for top in TOP for file in (ROOT / top).rglob("__init__.py")
    }  # fmt: skip
    assert set(lines(setup["options"]["packages"])) == found
    for top in TOP:
        for file in (ROOT / top).rglob("*.py"):
            assert (file.parent / "__init__.py").is_file(), f"{file}: its folder needs an __init__.py to be in the wheel"


def test_other_files_of_the_packages_are_in_the_wheel(setup):
    patterns = {Path(p.strip()).suffix for p in setup["options.package_data"]["*"].split(",")} | {".py", ".pyc"}
    for top in TOP:
        left_out = [f for f in (ROOT / top).rglob("*") if f.is_file() and f.suffix not in patterns]
        assert not left_out, f"no pattern of options.package_data takes {left_out}"


def test_constraints_pin_every_requirement_within_its_range(setup):
    pins = dict(line.split("==") for line in lines((ROOT / "constraints.txt").read_text()) if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    assert all(re.fullmatch(r"[0-9.]+", version) for version in pins.values()), "exact versions, without a build's suffix"
    for line in lines(setup["options"]["install_requires"]) + lines(setup["options.extras_require"]["dev"]):
        requirement = Requirement(line)
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, line


def test_extras_stand_alone(setup):
    named = {"flash", "liger", "qlora", "torchvision", "rl", "serve", "parallel", "slurm", "search", "dev"}
    assert set(setup["options.extras_require"]) == named
    assert not any("basereward[" in text for text in setup["options.extras_require"].values())


def test_version_is_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{basereward.__version__}]" in text


def test_make_help_lists_every_target():
    listed = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert {line.split()[1] for line in lines(listed)} == set(phony) - {"always"}


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout: which files belong to the tree is not known")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine():
    found = []
    for file in tracked_files():
        text = file.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{file.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATHS.finditer(text)]
    assert not found
