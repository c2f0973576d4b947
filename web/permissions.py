"""Who may write what of the own country (interface.md, section 3, *Roles*). Reading is open to every role."""

from collections.abc import Iterable, Mapping
from typing import Any

from directory.index import Directory
from web.accounts import Principal
from web.errors import ForbiddenError

EDITED_BY_ROTA_ADMINS = frozenset({"rota", "member", "outage"})


def check_may_write(
    principal: Principal, directory: Directory, own: str, record_id: str, versions: Iterable[Mapping[str, Any]]
) -> None:
    """Raise ForbiddenError unless ``principal`` may make this change.

    ``versions`` are the record before and after, as far as there are any: it must neither be taken from another
    agency nor be given to one.
    """
    if principal.has("node_admin"):
        return
    kind = record_id.partition("/")[0]
    if kind not in EDITED_BY_ROTA_ADMINS:
        raise ForbiddenError(f"changing a {kind} needs the role node_admin")
    if not principal.has("rota_admin"):
        raise ForbiddenError(f"changing a {kind} needs the role rota_admin or node_admin")
    if kind != "outage":
        _check_agency(principal, directory, own, record_id, versions)


def _check_agency(
    principal: Principal, directory: Directory, own: str, record_id: str, versions: Iterable[Mapping[str, Any]]
) -> None:
    home = _home(directory, own, principal.unit)
    if home is None:
        raise ForbiddenError(f"the account {principal.name} has no unit of the directory, so it has no agency")
    if any(_home(directory, own, version.get("unit")) != home for version in versions):
        raise ForbiddenError(f"{record_id} belongs to a unit of another agency, or to none")


def _home(directory: Directory, own: str, unit: object) -> str | None:
    """What a unit belongs to: its agency, or itself where it names none."""
    found = directory.unit(f"{own}:unit/{unit}")
    return None if found is None else found.agency or found.ref
