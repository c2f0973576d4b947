"""Whom each channel reaches in the requested state: rules R3 and R5 (directory.md, section 4).

Hours do not count here: "else" means that nobody of the first kind exists, not that he is asleep.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from directory.pairs import Pair
from directory.policy import Gate
from directory.values import EVERY_CRIME, Unit


@dataclass(frozen=True, slots=True)
class Choice:
    """The units that fit equally well, by id, and why these; or nobody, and why.

    ``forbids`` says why the contact is not for this pair at all: a membership that one of them has not.
    """

    units: tuple[Unit, ...]
    reason: str
    forbids: str | None = None


Finder = Callable[[Pair], Choice]


def best_of(units: Sequence[Unit], crime_area: str) -> tuple[Unit, ...]:
    """R5, where several fit: the crime area listed, then more crime areas, then the smaller area.

    Returns the first by that order and whoever equals it, by id.
    """
    if len(units) < 2:
        return tuple(units)
    ranked = sorted((fit(unit, crime_area), unit.slug, unit.ref) for unit in units)
    by_ref = {unit.ref: unit for unit in units}
    return tuple(by_ref[ref] for rank, _, ref in ranked if rank == ranked[0][0])


def fit(unit: Unit, crime_area: str) -> tuple[bool, float, int]:
    """Return how well a unit fits, the better the smaller: R5's order of units."""
    remit = float("inf") if EVERY_CRIME in unit.crime_areas else len(unit.crime_areas)
    return not unit.deals_with(crime_area), -remit, len(unit.area)


def _choice(pair: Pair, units: Iterable[Unit], channel: str, whom: str, forbids: str | None = None) -> Choice:
    """Choose among the units that list a channel."""
    best = best_of([unit for unit in units if channel in unit.channels], pair.query.crime_area)
    return Choice(best, whom if best else f"{whom} would be asked, but there is none on {channel}", forbids)


def _of_kind(kind: str, channel: str, title: str, membership: str | None = None) -> Finder:
    """Find the unit of a kind, where both sides are members."""

    def find(pair: Pair) -> Choice:
        code = pair.requested.code
        units = pair.directory.units_of_kind(code, kind)
        return _choice(pair, units, channel, f"the {title} of {code}", _not_both(pair, membership))

    return find


def _of_network(network: str, channel: str, membership: str | None = None) -> Finder:
    """Find the contact in a network, where both sides are members."""

    def find(pair: Pair) -> Choice:
        code = pair.requested.code
        units = pair.directory.contacts(code, network)
        return _choice(pair, units, channel, f"the {network} contact of {code}", _not_both(pair, membership))

    return find


def _not_both(pair: Pair, membership: str | None) -> str | None:
    outside = pair.outside(membership) if membership else []
    return f"not a member of {membership}: {', '.join(outside)}" if outside else None


# -- R3: the subject's own contact -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """A channel, how its addressee is found, and why it stands where it does."""

    channel: str
    find: Finder
    why_here: str


_SUBJECT_WAYS: Mapping[str, Way] = {
    "sis_alert": Way(
        "sirene",
        _of_kind("sirene", "sirene", "SIRENE bureau"),
        "R3: a hit on a SIS alert belongs to the SIRENE bureaux",
    ),
    "e_evidence_preservation": Way(
        "network",
        _of_network("BUDAPEST-24/7", "network", "BUDAPEST"),
        "R3: the 24/7 contacts of the Budapest Convention preserve data",
    ),
    "htc_expert": Way(
        "network", _of_network("SEPCA-HTC", "network", "SEPCA"), "R3: experts meet in SEPCA's high-tech crime network"
    ),
    "fiu": Way("fiu", _of_kind("fiu", "fiu", "FIU", "EGMONT"), "R3: financial intelligence goes from FIU to FIU"),
    "mla": Way("ejn", _of_network("EJN", "ejn"), "R3: evidence for a court is asked of the EJN contact"),
}
_ARO = Way("siena", _of_network("ARO-EU", "siena", "EU"), "R3: asset recovery offices of the EU ask over SIENA")
_CARIN = Way("network", _of_network("CARIN", "network", "CARIN"), "R3: assets are traced through the CARIN network")


def subject_way(pair: Pair) -> Way | None:
    """R3: the contact to which a subject belongs, None where the default order serves it."""
    subject = pair.query.subject
    if subject != "asset_tracing":
        return _SUBJECT_WAYS.get(subject)
    if pair.both_members("EU") and pair.directory.contacts(pair.requested.code, "ARO-EU"):
        return _ARO
    return _CARIN


# -- R5: the addressee on each channel -------------------------------------------------------------------------------


def _desk(pair: Pair) -> Choice:
    """pccc: the requested state's desk that covers the location, has both states as partners and the crime."""
    code, location = pair.requested.code, pair.query.location
    if location is None:
        return Choice((), "no location was given that a common centre could cover")
    desks = [desk for desk in pair.directory.desks(code, location) if "pccc" in desk.channels]
    if not desks:
        return Choice((), f"no common centre with a desk of {code} covers {location}")
    return _fitting_desk(pair, desks, location)


def _fitting_desk(pair: Pair, desks: Sequence[Unit], location: str) -> Choice:
    crime = pair.query.crime_area
    partnered = [desk for desk in desks if {pair.asker.code, pair.requested.code} <= desk.partners]
    fitting = [desk for desk in partnered if desk.deals_with(crime)]
    if fitting:
        reason = f"its centre covers {location}, has both states as partners and {crime} in its remit"
        return Choice(best_of(fitting, crime), reason)
    missing = f"{crime} is not in its remit" if partnered else f"{pair.asker.code} is not its partner"
    return Choice((), f"{best_of(partnered or desks, crime)[0].slug} covers {location}, but {missing}")


def _siena(pair: Pair) -> Choice:
    """siena: the SPOC if it is on siena, else the Europol unit on siena."""
    code = pair.requested.code
    spocs = [unit for unit in pair.directory.units_of_kind(code, "spoc") if "siena" in unit.channels]
    if spocs:
        return _choice(pair, spocs, "siena", f"the SPOC of {code} is on SIENA")
    units = pair.directory.units_of_kind(code, "enu")
    return _choice(pair, units, "siena", f"the Europol unit of {code}, since no SPOC of it is on SIENA")


def _liaison(pair: Pair) -> Choice:
    """liaison: posted in the asking state, else at Europol (both on siena), else at SELEC (both members)."""
    code, asker = pair.requested.code, pair.asker.code
    places = [asker]
    places += ["EUROPOL"] if pair.both_on("siena") else []
    places += ["SELEC"] if pair.both_members("SELEC") else []
    for place in places:
        officers = [officer for officer in pair.directory.posted(code, place) if "liaison" in officer.channels]
        if officers:
            where = "in the asking state" if place == asker else f"at {place}, which both sides use"
            return _choice(pair, officers, "liaison", f"the liaison officer of {code} posted {where}")
    return Choice((), f"{code} has posted no liaison officer to {', '.join(places)}")


def _operations_centre(pair: Pair) -> Choice:
    """bilateral: the central operations centre."""
    code = pair.requested.code
    centres = [unit for unit in pair.directory.units_of_kind(code, "ops_centre") if unit.level == "central"]
    return _choice(pair, centres, "bilateral", f"the central operations centre of {code}")


ADDRESSEES: Mapping[str, Finder] = {
    "pccc": _desk,
    "siena": _siena,
    "i247": _of_kind("ncb", "i247", "INTERPOL NCB"),
    "selec": _of_kind("selec_nfp", "selec", "SELEC focal point"),
    "sirene": _of_kind("sirene", "sirene", "SIRENE bureau"),
    "liaison": _liaison,
    "bilateral": _operations_centre,
}
"""Per channel that may stand in an order of channels, how its addressee is found."""


def gate_addressee(gate: Gate) -> Finder:
    """R2: whom the gate names, whatever channels that unit lists for others."""

    def find(pair: Pair) -> Choice:
        code = pair.requested.code
        whom = gate.addressee(code)
        if whom is None:
            return Choice((), f"the policy names nobody to reach in {code}")
        if whom.unit is None:
            units = pair.directory.units_of_kind(code, whom.kind or "")
            return Choice(best_of(units, pair.query.crime_area), f"the {whom.kind} of {code}, named by the policy")
        unit = pair.directory.unit(f"{code}:unit/{whom.unit}")
        return Choice((unit,) if unit else (), f"{whom.unit}, named by the policy")

    return find
