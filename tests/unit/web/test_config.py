"""Settings: read, overridden, and every fault named at once."""

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.config import Config, format_settings, host_of, load_config, make_config, path_of
from web.errors import ConfigError

SOUND = {"participant": "ME", "url": "https://spoc.example.me"}


def faults(settings: dict[str, object], data: Path = Path("/srv/veza")) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        make_config(data, settings)
    return list(refused.value.faults)


def test_two_settings_are_enough() -> None:
    config = make_config(Path("/srv/veza"), SOUND)
    assert config == Config(
        data=Path("/srv/veza"),
        participant="ME",
        url="https://spoc.example.me",
        name="ME",
        database="sqlite:////srv/veza/veza.db",
    )
    assert config.nightly == dt.time(2, 0)
    assert config.passphrase is None


def test_places_below_the_data_directory() -> None:
    config = make_config(Path("/srv/veza"), SOUND)
    assert config.keys_dir == Path("/srv/veza/keys")
    assert config.anchor_dir == Path("/srv/veza/anchor")
    assert config.secret_file == Path("/srv/veza/secret")
    assert config.spool_dir == Path("/srv/veza/spool")
    assert config.metrics_dir == Path("/srv/veza/metrics")
    assert config.anchor_entity_id == "https://spoc.example.me/anchor"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("participant", "me"),
        ("participant", "M"),
        ("participant", 7),
        ("url", "spoc.example.me"),
        ("url", "https://spoc.example.me/"),
        ("url", "https://user@spoc.example.me"),
        ("url", "https://spoc.example.me:443"),
        ("url", "https://spoc.example.me:80"),
        ("url", "http://spoc.example.me"),
        ("url", "https://127.0.0.1"),
        ("url", "https://Spoc.example.me"),
        ("name", ""),
        ("name", "x" * 301),
        ("name", "two\nlines"),
        ("database", "mysql://root@localhost/veza"),
        ("database", "postgresql://veza@localhost/veza"),
        ("database", "nonsense"),
        ("contacts", [1]),
        ("contacts", 5),
        ("readers", {"a": "b"}),
        ("insecure_urls", "perhaps"),
        ("open_logs", 1),
        ("nightly", "25:00"),
        ("nightly", "2:00"),
        ("nightly", 2),
        ("policy", "/nowhere/policy.json"),
        ("passphrase_file", "/nowhere/pass"),
        ("colour", "blue"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    found = faults(SOUND | {name: value})
    assert len(found) == 1
    assert found[0].startswith(f"{name}: ")


def test_all_faults_are_named_at_once() -> None:
    found = faults({"url": "nowhere", "nightly": "noon", "colour": "blue"})
    assert {fault.partition(":")[0] for fault in found} == {"participant", "url", "nightly", "colour"}


def test_a_missing_setting_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path, {})
    text = refused.value.detail
    assert str(tmp_path / "veza.toml") in text
    assert "VEZA_PARTICIPANT" in text
    assert "VEZA_URL" in text


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "veza.toml").write_text("participant = ", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})
    (tmp_path / "veza.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {"VEZA_PARTICIPANT": "ME", "VEZA_URL": "https://spoc.example.me"})


def test_variables_override_the_file(tmp_path: Path) -> None:
    (tmp_path / "veza.toml").write_text(format_settings(SOUND | {"name": "File"}), encoding="utf-8")
    variables = {
        "VEZA_NAME": "Variable",
        "VEZA_INSECURE_URLS": "yes",
        "VEZA_OPEN_LOGS": "0",
        "VEZA_CONTACTS": "a@spoc.example,b@spoc.example",
        "VEZA_NIGHTLY": "03:30",
        "VEZA_DATA": "ignored",
        "VEZA_WORKERS": "ignored",
    }
    config = load_config(tmp_path, variables)
    assert config.name == "Variable"
    assert (config.insecure_urls, config.open_logs) == (True, False)
    assert config.contacts == ("a@spoc.example", "b@spoc.example")
    assert config.nightly == dt.time(3, 30)


def test_variables_alone_are_enough(tmp_path: Path) -> None:
    config = load_config(tmp_path, {"VEZA_PARTICIPANT": "SELEC", "VEZA_URL": "https://selec.example"})
    assert config.participant == "SELEC"


def test_insecure_urls_allow_loopback() -> None:
    config = make_config(
        Path("/srv/veza"), {"participant": "ME", "url": "http://127.0.0.1:8100", "insecure_urls": True}
    )
    assert config.url == "http://127.0.0.1:8100"


def test_the_passphrase_is_read_when_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "pass"
    file.write_text("open sesame\n", encoding="utf-8")
    config = make_config(tmp_path, SOUND | {"passphrase_file": str(file), "policy": str(file)})
    assert config.passphrase == b"open sesame"
    assert config.policy == file
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        assert config.passphrase


@given(
    name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40),
    contacts=st.lists(st.text('abc@.š"\\', min_size=1, max_size=20), max_size=3),
    insecure=st.booleans(),
)
def test_settings_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, name: str, contacts: list[str], insecure: bool
) -> None:
    data = tmp_path_factory.mktemp("data")
    settings = SOUND | {"name": name, "contacts": contacts, "insecure_urls": insecure, "policy": None}
    (data / "veza.toml").write_text(format_settings(settings), encoding="utf-8")
    config = load_config(data, {})
    assert (config.name, config.contacts, config.insecure_urls) == (name, tuple(contacts), insecure)


def test_parts_of_a_url() -> None:
    assert host_of("https://spoc.example.me:8443/veza") == "spoc.example.me:8443"
    assert path_of("https://spoc.example.me:8443/veza") == "/veza"
    assert path_of("https://spoc.example.me") == ""
