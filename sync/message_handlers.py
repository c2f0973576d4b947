"""What a type of message has to say for itself: its handler reads the content, and gives the effect that it has."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from federation.messages import Message
from federation.participants import TrustedNode
from sync.node import Node


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new message whose sender is proven, and when it came."""

    node: Node
    """The node that it came to."""
    message: Message
    sender: TrustedNode | None
    """None for one that is not trusted, which only ``peering.*`` may come from."""
    now: dt.datetime


Effect = Callable[[Session], None]
"""What happens in the transaction that takes the message; it may still refuse it (FederationError), and then nothing
is changed."""
Handler = Callable[[Arrival], Effect]
"""Step 12: refuses a content (FederationError, ``bad_request`` for a body of another form) before anything is written.
Must not write itself."""
