"""Pages kept unapplied: in memory, in a file, between runs."""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from federation.head import Head
from federation.merkle import EMPTY_ROOT, Frontier
from sync.errors import StorageError
from sync.spool import Page, Spool, disk_errors_explained

HELD = Head("RS", False, 0, EMPTY_ROOT, Frontier(), None, None, None, None, None)
PAGES = [Page(number * 256, 256, bytes([number]) * 1000) for number in range(5)]


def filled(folder: Path | None, memory_bytes: int = 10_000) -> Spool:
    spool = Spool(HELD, memory_bytes, folder)
    for page in PAGES:
        spool.append(page)
    return spool


@pytest.mark.parametrize("memory_bytes", [0, 1500, 4999, 5000, 10_000])
def test_pages_come_back_in_order_from_memory_or_file(tmp_path: Path, memory_bytes: int) -> None:
    with filled(tmp_path, memory_bytes) as spool:
        assert list(spool.pages()) == PAGES
        assert list(spool.pages()) == PAGES
        assert spool.size == 5000
        assert len(list(tmp_path.iterdir())) == (memory_bytes < 5000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("memory_bytes", [0, 10_000])
def test_cleared_spool_is_empty_and_usable(tmp_path: Path, memory_bytes: int) -> None:
    with filled(tmp_path, memory_bytes) as spool:
        spool.clear()
        assert (list(spool.pages()), spool.size) == ([], 0)
        spool.append(PAGES[2])
        assert list(spool.pages()) == [PAGES[2]]


def test_error_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), filled(tmp_path, 0):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("memory_bytes", [0, 10_000])
def test_kept_pages_are_there_for_the_next_run_once(tmp_path: Path, memory_bytes: int) -> None:
    filled(tmp_path, memory_bytes).keep()
    assert [path.name for path in tmp_path.iterdir()] == ["RS.pages"]
    with Spool.resume(HELD, memory_bytes, tmp_path) as spool, Spool.resume(HELD, memory_bytes, tmp_path) as other:
        assert list(spool.pages()) == PAGES
        assert list(other.pages()) == []
        spool.append(PAGES[0])
        assert list(spool.pages()) == [*PAGES, PAGES[0]]
    assert list(tmp_path.iterdir()) == []


def test_kept_again_with_what_came_since(tmp_path: Path) -> None:
    filled(tmp_path).keep()
    spool = Spool.resume(HELD, 0, tmp_path)
    spool.append(PAGES[0])
    spool.keep()
    with Spool.resume(HELD, 0, tmp_path) as spool:
        assert list(spool.pages()) == [*PAGES, PAGES[0]]


@pytest.mark.parametrize("moved", [replace(HELD, size=5), replace(HELD, root=bytes(32))])
def test_kept_pages_of_another_held_log_are_dropped(tmp_path: Path, moved: Head) -> None:
    filled(tmp_path).keep()
    with Spool.resume(moved, 0, tmp_path) as spool:
        assert list(spool.pages()) == []
    assert list(tmp_path.iterdir()) == []


def test_kept_pages_of_another_participant_stay(tmp_path: Path) -> None:
    filled(tmp_path).keep()
    with Spool.resume(replace(HELD, participant="MK"), 0, tmp_path) as spool:
        assert list(spool.pages()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["RS.pages"]


@pytest.mark.parametrize("cut", [1, 500, 1015, 1016, 1017])
def test_file_that_was_cut_short_ends_at_its_last_whole_page(tmp_path: Path, cut: int) -> None:
    filled(tmp_path).keep()
    kept = tmp_path / "RS.pages"
    kept.write_bytes(kept.read_bytes()[:-cut])
    with Spool.resume(HELD, 0, tmp_path) as spool:
        assert list(spool.pages()) == PAGES[: 4 if cut <= 1016 else 3]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"{}\n"])
def test_file_of_another_make_is_dropped(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "RS.pages").write_bytes(content)
    with Spool.resume(HELD, 0, tmp_path) as spool:
        assert list(spool.pages()) == []


def test_without_a_folder_pages_are_dropped_at_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = filled(None, 0)
    assert len(list(tmp_path.iterdir())) == 1
    spool.keep()
    assert list(tmp_path.iterdir()) == []
    with Spool.resume(HELD, 0, None) as resumed:
        assert list(resumed.pages()) == []


def test_files_of_runs_that_were_killed_are_removed_after_two_days(tmp_path: Path) -> None:
    old, young = tmp_path / "RS-old.part", tmp_path / "MK-young.part"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 3 * 86_400,) * 2)
    Spool.resume(HELD, 0, tmp_path).close()
    assert list(tmp_path.iterdir()) == [young]


def test_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(StorageError) as refusal, disk_errors_explained():
        filled(blocked, 0)
    assert refusal.value.code == "storage_full"
