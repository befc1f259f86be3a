"""The command: what it writes and says, and what it says of bad input."""

import os

import pytest
import typer
from typer.testing import CliRunner

from ntkcheck.report.__main__ import app
from ntkcheck.store import Store
from tests.report import changed_by_hand, snd_record


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "store.db"
    with Store(path) as opened:
        opened.add(snd_record(8))
    return path


def command(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def said(found):
    return " ".join(found.output.split())


def test_the_folder_is_written_and_its_first_page_named(store, tmp_path):
    folder = tmp_path / "new" / "folder"
    found = command("--store", store, "--output", folder)
    assert found.exit_code == 0, found.output
    assert str(folder / "index.html") in said(found)
    assert (folder / "claims" / "MN-3.html").is_file()
    assert not list(folder.rglob("*.part"))


def test_other_files_of_the_folder_stay(store, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert command("--store", store, "--output", tmp_path).exit_code == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_first_page_is_opened_where_asked(store, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(typer, "launch", opened.append)
    command("--store", store, "--output", tmp_path / "a")
    assert opened == []
    command("--store", store, "--output", tmp_path / "a", "--open")
    assert opened == [str(tmp_path / "a" / "index.html")]


def test_a_store_that_was_changed_by_hand_is_told_of(store, tmp_path):
    changed = changed_by_hand(store, tmp_path / "changed.db", "UPDATE measurement SET n = 9")
    found = command("--store", changed, "--output", tmp_path / "a")
    assert found.exit_code == 0
    assert "1 problems with what the store holds" in said(found)
    assert f"`ntkcheck store verify --store {changed}`" in said(found)


def test_a_missing_store_is_refused_with_the_remedy(tmp_path):
    found = command("--store", tmp_path / "none.db", "--output", tmp_path / "a")
    assert found.exit_code == 2
    assert f"`store` must name a store with measurements, got '{tmp_path / 'none.db'}'" in said(found)
    assert f"make it by `ntkcheck claims --store {tmp_path / 'none.db'} check`" in said(found)
    assert not (tmp_path / "a").exists()


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("not a store, but words that are longer than a header")
    found = command("--store", tmp_path / "text.db", "--output", tmp_path / "a")
    assert found.exit_code == 2
    assert "is not a store" in said(found)


def test_claims_that_are_not_there_are_refused(store, tmp_path):
    found = command("--store", store, "--output", tmp_path / "a", "--own", tmp_path / "none.toml")
    assert found.exit_code == 2
    assert "none.toml" in said(found)


def test_a_folder_that_cannot_be_written_is_refused(store, tmp_path):
    (tmp_path / "file").write_text("")
    found = command("--store", store, "--output", tmp_path / "file")
    assert found.exit_code == 2
    assert f"`output` must be a folder that can be written to, got '{tmp_path / 'file'}'" in said(found)


def test_a_store_on_a_medium_that_cannot_be_written_is_read(store, tmp_path):
    os.chmod(store, 0o444)
    assert command("--store", store, "--output", tmp_path / "a").exit_code == 0
