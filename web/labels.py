"""Codes in words, for people's pages (English)."""

from collections.abc import Mapping

CHANNELS: Mapping[str, str] = {
    "pccc": "PCCC (common centre)",
    "siena": "SIENA",
    "i247": "INTERPOL I-24/7",
    "selec": "SELEC",
    "sirene": "SIRENE",
    "liaison": "Liaison officer",
    "bilateral": "Bilateral",
    "network": "Network contact",
    "fiu": "FIU",
    "ejn": "EJN (judicial)",
    "mission": "Mission",
}
KINDS: Mapping[str, str] = {
    "border_station": "Border station",
    "directorate": "Directorate",
    "enu": "Europol unit",
    "fiu": "FIU",
    "liaison": "Liaison officer",
    "ncb": "INTERPOL bureau",
    "network_contact": "Network contact",
    "ops_centre": "Operations centre",
    "pccc": "Common centre",
    "regional": "Regional unit",
    "selec_nfp": "SELEC focal point",
    "sirene": "SIRENE bureau",
    "specialist": "Specialist unit",
    "spoc": "SPOC",
    "agency": "Agency",
    "place": "Place",
    "unit": "Unit",
}
LANGUAGES: Mapping[str, str] = {
    "bg": "Bulgarian",
    "bs": "Bosnian",
    "cnr": "Montenegrin",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hr": "Croatian",
    "hu": "Hungarian",
    "it": "Italian",
    "mk": "Macedonian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sl": "Slovene",
    "sq": "Albanian",
    "sr": "Serbian",
    "tr": "Turkish",
    "uk": "Ukrainian",
}
SUBJECTS: Mapping[str, str] = {
    "police_information": "Police information",
    "sis_alert": "SIS alert",
    "interpol_db_hit": "Hit in an INTERPOL database",
    "wanted_worldwide": "Person wanted worldwide",
    "e_evidence_preservation": "Preserving electronic evidence",
    "htc_expert": "High-tech crime expert",
    "asset_tracing": "Asset tracing",
    "fiu": "Financial intelligence",
    "mla": "Mutual legal assistance (judicial)",
    "selec_operation": "SELEC operation",
}
_CRIME_AREAS: Mapping[str, str] = {
    "eu_financial_interests": "EU financial interests",
    "homicide_gbh": "Homicide, grievous bodily harm",
    "thb": "Trafficking in human beings",
    "racism_xenophobia": "Racism and xenophobia",
    "robbery_theft": "Robbery and theft",
    "counterfeiting_piracy": "Counterfeiting and piracy",
    "firearms_explosives": "Firearms and explosives",
    "customs_excise": "Customs and excise",
    "organised_crime": "Organised crime",
}
RULES: Mapping[str, str] = {
    "PT8H": "within 8 hours",
    "P3D": "within 3 days",
    "P7D": "within 7 days",
    "PT12H": "within 12 hours",
}
STATES: Mapping[str, str] = {
    "fresh": "Fresh",
    "stale": "Stale",
    "failing": "Last check failed",
    "withholding": "Withheld: peers hold newer data",
    "disputed": "Disputed: two histories",
}


def crime_area(code: str) -> str:
    """A crime area in words."""
    return _CRIME_AREAS.get(code) or words(code)


def language(code: str | None) -> str:
    """A language by its English name; without one a translation is needed."""
    if code is None:
        return "none in common: a translation is needed"
    return LANGUAGES.get(code, code)


def words(code: str) -> str:
    """A code as a phrase."""
    return code.replace("_", " ").capitalize()


def ago(seconds: int) -> str:
    """How long ago, roughly."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "less than a minute ago"


def spoken_number(phone: str) -> str:
    """A telephone number in groups of three, so that it can be read aloud."""
    digits = phone.removeprefix("+")
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return ("+" if phone.startswith("+") else "") + " ".join(groups)
