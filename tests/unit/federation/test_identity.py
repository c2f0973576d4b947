from pathlib import Path

import pytest

from federation.errors import KeyFileError
from federation.identity import create_anchor_identity, create_identity, load_anchor_identity
from federation.key_directory import KeyDirectory

ME = ("ME", "https://spoc.example.me")


@pytest.mark.parametrize("passphrase", [None, b"a long passphrase"])
def test_an_identity_round_trips(tmp_path: Path, passphrase: bytes | None) -> None:
    made = create_identity(tmp_path / "keys", *ME, passphrase)
    loaded = KeyDirectory(tmp_path / "keys", *ME, passphrase).load()
    assert (loaded.participant, loaded.entity_id) == ME
    assert loaded.operating_key.kid == made.operating_key.kid
    assert made.federation_key is not None
    assert loaded.federation_key is not None
    assert loaded.federation_key.kid == made.federation_key.kid != made.operating_key.kid
    assert loaded.log_url == "https://spoc.example.me/federation/v1/logs/ME"
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_keys_are_never_made_twice(tmp_path: Path) -> None:
    made = create_identity(tmp_path, *ME)
    with pytest.raises(KeyFileError, match="cannot write"):
        create_identity(tmp_path, *ME)
    assert [key.kid for key in KeyDirectory(tmp_path, *ME).load().operating_keys] == [made.operating_key.kid]


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_key_directory_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "keys"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 700"):
        create_identity(directory, *ME)
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot make the key directory"):
        create_identity(tmp_path / "file" / "keys", *ME)


def test_an_anchor_has_a_key_of_its_own(tmp_path: Path) -> None:
    made = create_anchor_identity(tmp_path / "anchor", "https://spoc.example.me/anchor")
    assert load_anchor_identity(tmp_path / "anchor", made.entity_id).key.kid == made.key.kid
    with pytest.raises(KeyFileError, match="cannot write"):
        create_anchor_identity(tmp_path / "anchor", made.entity_id)
    with pytest.raises(KeyFileError, match="cannot read"):
        load_anchor_identity(tmp_path / "elsewhere", made.entity_id)
