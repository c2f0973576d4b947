"""What a refusal named: for tests that compare places of faults."""

from collections.abc import Callable

from directory.errors import Fault, InvalidInputError


def faults_of(action: Callable[[], object]) -> list[Fault]:
    """Run something and return the faults with which it is refused; none where it is not."""
    try:
        action()
    except InvalidInputError as error:
        if not error.faults:
            raise AssertionError("a refusal without a fault says nothing") from error
        return [*error.faults]
    return []


def refused_places(action: Callable[[], object]) -> list[str]:
    """Run something that must be refused and return the places of all its faults, in their order."""
    faults = faults_of(action)
    assert faults, "expected a refusal"
    return [fault.place for fault in faults]
