"""CI's audit: a finding fails it, and what it could not look up is reported."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parent.parent / ".ci" / "audit.py"


def audited(tmp_path: Path, stdout: str) -> int:
    """Return the exit code after a pip-audit that writes *stdout*."""
    tool = tmp_path / "pip-audit"
    (tmp_path / "answer").write_text(stdout, encoding="utf-8")
    tool.write_text(
        f'#!/bin/sh\necho "no route to the service" >&2\ncat {tmp_path}/answer\n'
    )
    tool.chmod(0o755)
    main: Any = runpy.run_path(str(AUDIT))["main"]
    return main(str(tool), str(tmp_path))


def answer(**packages: Any) -> str:
    """Return what pip-audit writes about packages."""
    listed = [{"name": name, **what} for name, what in packages.items()]
    return json.dumps({"dependencies": listed, "fixes": []})


CLEAN = {"version": "1", "vulns": []}
BAD = {"version": "2", "vulns": [{"id": "PYSEC-0-FAKE"}]}
UNKNOWN = {"skip_reason": "not found"}


def test_a_vulnerable_package_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is enough, whatever else could not be looked up."""
    assert audited(tmp_path, answer(one=CLEAN, two=BAD, three=UNKNOWN)) == 1
    printed = capsys.readouterr().out
    assert "VULNERABLE: two 2: PYSEC-0-FAKE" in printed
    assert "2 of 3 packages audited, 1 vulnerable" in printed


def test_what_is_not_known_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An audit of no packages does not pass."""
    assert audited(tmp_path, answer(one=UNKNOWN)) == 0
    printed = capsys.readouterr().out
    assert "0 of 1 packages audited" in printed
    assert "NOT AUDITED, as the service here does not know them: one" in printed


def test_no_service_at_all_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine with only a package index does not fail, and does not pretend."""
    assert audited(tmp_path, "") == 0
    assert "NOT AUDITED" in capsys.readouterr().out
