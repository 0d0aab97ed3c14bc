"""Files are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from procrustes_model.files import check_writable, write_atomically


def test_new_file_has_the_text_and_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    write_atomically(path, "a\r\nä\n")
    assert path.read_bytes() == "a\r\nä\n".encode()
    other = tmp_path / "other"
    other.write_text("")
    assert path.stat().st_mode == other.stat().st_mode


def test_replaces_and_keeps_the_mode_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(str(path), "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["old.txt"]


def test_link_keeps_pointing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomically(link, "text")
    assert link.is_symlink()
    assert target.read_text() == "text"


def test_device_is_written_straight() -> None:
    write_atomically("/dev/null", "text")
    assert not Path("/dev/null").is_file()


def test_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*kept\.txt"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("name", [".", "none/file", "file/below"])
def test_hopeless_paths_are_found_early(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"[Ff]older|directory") as caught:
        check_writable(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
