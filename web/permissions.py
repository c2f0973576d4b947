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
    kind = record_id.partition("/")[0]
    if principal.has("node_admin"):
        return
    if not principal.has("rota_admin") or kind not in EDITED_BY_ROTA_ADMINS:
        needed = "rota_admin or node_admin" if kind in EDITED_BY_ROTA_ADMINS else "node_admin"
        raise ForbiddenError(f"changing a {kind} needs the role {needed}")
    if kind == "outage":
        return
    home = _home(directory, own, principal.unit)
    if home is None:
        raise ForbiddenError(f"the account {principal.name} has no unit, so it belongs to no agency")
    for version in versions:
        if _home(directory, own, version.get("unit")) != home:
            raise ForbiddenError(f"{record_id} belongs to a unit of another agency, or to none")


def _home(directory: Directory, own: str, unit: object) -> str | None:
    """What a unit belongs to: its agency, or itself where it names none."""
    found = directory.unit(f"{own}:unit/{unit}")
    return None if found is None else found.agency or found.ref
