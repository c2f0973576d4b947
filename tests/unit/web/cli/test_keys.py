"""``veza keys``: what a person is told, and what a program reads."""

import pytest


def test_keys_are_listed_for_people_with_their_words(veza, answer):
    (federation, operating) = answer("keys", "list")
    assert len(federation["words"].split()) == 24
    text = veza("keys", "list")[1]
    assert " ".join(federation["words"].split()[:6]) in text
    assert federation["listed_since"] in text
    assert " ".join(operating["words"].split()[:6]) not in text, "nobody compares an operating key by telephone"


def test_a_federation_key_is_rotated(veza, answer):
    old = answer("keys", "list")[0]["kid"]
    rotation = answer("keys", "rotate", "--federation")
    assert (rotation["signs"], rotation["waits"]) == (True, None)
    signing = {key["kid"]: key["signs"] for key in answer("keys", "list") if key["use"] == "federation"}
    assert signing == {rotation["federation_key"]: True, old: False}
    text = veza("keys", "rotate", "--federation")[1]
    assert "it signs from now on" in text


def test_a_key_is_revoked(veza, answer, data):
    (stolen,) = [key["kid"] for key in answer("keys", "list") if key["use"] == "operating"]
    revocation = answer("keys", "revoke", stolen)
    assert (revocation["use"], revocation["not_taken_by"]) == ("operating", [])
    assert [key["kid"] for key in answer("keys", "list") if key["use"] == "operating"] == [revocation["operating_key"]]
    assert answer("verify") == []
    text = veza("keys", "revoke", revocation["operating_key"])[1]
    assert "its file is gone" in text
    assert "no restart is needed" in text
    assert len(list((data / "keys").iterdir())) == 2


@pytest.mark.parametrize("which", ["an unknown one", "the only federation key", "one that was removed"])
def test_what_cannot_be_revoked_is_said(veza, answer, which):
    keys = {key["use"]: key["kid"] for key in answer("keys", "list")}
    if which == "one that was removed":
        answer("keys", "revoke", keys["operating"])
    kid = {"an unknown one": "kid", "the only federation key": keys["federation"]}.get(which, keys["operating"])
    status, _, err = veza("keys", "revoke", kid)
    assert status == 1
    assert {"an unknown one": "veza keys list", "the only federation key": "rotate --federation"}.get(
        which, "removed before"
    ) in err


@pytest.mark.parametrize("kid", ["-Tq05Pc10O-VW_1uANHXBkwxabpOKMwmTlz4xXEcbb4", "-h" + "x" * 41, "--" + "x" * 41])
@pytest.mark.parametrize("place", [["KID"], ["KID", "--json"], ["--json", "KID"], ["--", "KID"]])
def test_a_key_whose_name_starts_like_an_option_is_a_key(veza, kid, place):
    status, _, err = veza("keys", "revoke", *(kid if text == "KID" else text for text in place))
    assert status == 1
    assert err.startswith(f"veza: not_found: the key {kid} is not listed")


@pytest.mark.parametrize("arguments", [[], ["-T"], ["a", "b"], ["--jason"]])
def test_revoke_takes_one_key(veza, arguments):
    assert veza("keys", "revoke", *arguments)[0] == 2


def test_a_host_that_lost_its_operating_key_makes_another(veza, answer, data):
    (lost,) = (data / "keys").glob("operating-*")
    lost.unlink()
    assert "veza keys rotate" in veza("keys", "list")[2]
    new = answer("keys", "rotate")["operating_key"]
    keys = {key["kid"]: (key["signs"], key["here"]) for key in answer("keys", "list") if key["use"] == "operating"}
    assert keys == {new: (True, True), lost.stem.removeprefix("operating-"): (False, False)}
