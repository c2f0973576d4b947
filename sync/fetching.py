"""From a verified checkpoint to proven entries: pages are fetched from one source, proven, and kept unapplied.

Pages are fetched ahead while earlier ones are verified. What a run may fetch is limited; pages of a run that reached
its limit wait for the next one. Pages that miss the root are all dropped.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from typing import NoReturn

from federation.checkpoint import Checkpoint
from federation.entries import Entry, decode_page, page_end
from federation.errors import EntryError, FederationError, LogIntegrityError
from federation.head import Head
from sync.errors import PeerError, RunLimitError
from sync.source import Source
from sync.spool import Page, Spool
from sync.transport import Limits
from sync.trusted_log import TrustedLog

Verify = Callable[[bytes], Checkpoint]


@dataclass(slots=True)
class Allowance:
    """What a run may still fetch for one participant."""

    entries: int
    bytes: int

    @classmethod
    def of(cls, limits: Limits) -> "Allowance":
        """A whole run's."""
        return cls(limits.run_entries, limits.run_bytes)

    def take(self, page: Page) -> None:
        """Count a page that was fetched."""
        self.entries -= page.count
        self.bytes -= len(page.body)

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more may be fetched."""
        return self.entries <= 0 or self.bytes <= 0


@dataclass(frozen=True, slots=True)
class Fetching:
    """One participant's fetch: what is held, where pages are kept, and within what limits."""

    held: Head
    spool: Spool
    limits: Limits
    allowance: Allowance


def fetch_log(fetching: Fetching, source: Source, offered: Checkpoint, verify: Verify) -> TrustedLog:
    """Fetch and prove every entry up to ``offered``, or to a newer checkpoint of the same source.

    The pages are in the spool then. Raises EntryError or LogIntegrityError as ``TrustedLog`` does, PeerError where the
    source does not give the pages, RunLimitError where the run's limit was reached.
    """
    log = _resumed(fetching, offered)
    if log.position > fetching.held.size:
        try:
            return _complete(fetching, source, log, verify)
        except (LogIntegrityError, EntryError):
            if fetching.allowance.entries < offered.size - fetching.held.size:
                raise  # they are dropped: another source, or the next run, begins anew
            log = TrustedLog(fetching.held, offered)  # the pages kept may be another source's fault: all anew
    return _complete(fetching, source, log, verify)


def _complete(fetching: Fetching, source: Source, log: TrustedLog, verify: Verify) -> TrustedLog:
    """Fetch what is missing and prove it; where that fails the pages are dropped."""
    try:
        for rounds_left in count(fetching.limits.chase_rounds, -1):
            _fetch_pages(fetching, source, log)
            try:
                log.prove()
            except EntryError as error:
                if error.code != "withheld_payload" or rounds_left <= 0 or not _grew(log, source, verify):
                    raise
            else:
                break
    except (PeerError, FederationError):
        fetching.spool.clear()
        raise
    return log


def read_spooled(spool: Spool) -> Iterator[Entry]:
    """The proven entries, one page in memory at a time."""
    for page in spool.pages():
        yield from decode_page(page.body, page.count)


def read_headers(source: Source, offered: Checkpoint, limits: Limits) -> Generator[bytes, None, None]:
    """The headers of the whole log from 0 up to ``offered``, as the source serves them; nothing is kept.

    Raises EntryError and PeerError as the source's pages do, RunLimitError where they are more than one run fetches.
    """
    allowance = Allowance.of(limits)
    plan = _plan(0, offered.size, offered.size)
    with closing(_pages_ahead(source, plan, limits.pages_ahead)) as pages:
        for page in pages:
            allowance.take(page)
            if allowance.entries < 0 or allowance.bytes <= 0:
                raise RunLimitError(f"the log of {offered.size} entries is more than one run fetches")
            yield from (entry.header for entry in decode_page(page.body, page.count))


def _resumed(fetching: Fetching, offered: Checkpoint) -> TrustedLog:
    """The log with the pages that an earlier run left, as far as they fit; else they are dropped."""
    log = TrustedLog(fetching.held, offered)
    try:
        for page in fetching.spool.pages():
            if page.start != log.position or page.start + page.count > offered.size:
                raise EntryError("bad_range", f"the pages kept end at {log.position}")
            log.add_page(page.body, page.count)
    except EntryError:
        fetching.spool.clear()
        return TrustedLog(fetching.held, offered)
    return log


def _fetch_pages(fetching: Fetching, source: Source, log: TrustedLog) -> None:
    resumed = log.position
    if fetching.allowance.is_used_up and not log.is_complete:
        _stop(fetching, resumed)  # by another source, which failed
    until = min(log.offered.size, resumed + fetching.allowance.entries)
    plan = _plan(resumed, until, log.offered.size)
    with closing(_pages_ahead(source, plan, fetching.limits.pages_ahead)) as pages:
        for page in pages:
            kept = _add(log, source, page)
            if fetching.spool.size + len(kept.body) > fetching.limits.spool_bytes:
                _stop_at_full_disk(fetching, kept, resumed)
            fetching.spool.append(kept)
            fetching.allowance.take(kept)
            if not log.is_complete and fetching.allowance.is_used_up:
                _stop(fetching, log.position)


def _stop(fetching: Fetching, position: int) -> NoReturn:
    """End the run's part in this log; what it fetched waits for the next one."""
    if position > fetching.held.size:
        fetching.spool.keep()
    raise RunLimitError(
        f"the log is longer than one run fetches; {position - fetching.held.size} entries are kept unapplied "
        f"and the next run goes on"
    )


def _stop_at_full_disk(fetching: Fetching, page: Page, resumed: int) -> NoReturn:
    """Keep what is kept; but where not even one more page fits, drop it all, or nothing would ever go on."""
    if page.start > resumed:
        _stop(fetching, page.start)
    fetching.spool.clear()
    raise RunLimitError(f"the log needs more than the {fetching.limits.spool_bytes} bytes that are kept unapplied")


def _add(log: TrustedLog, source: Source, page: Page) -> Page:
    """Read a page; one with the wrong number of lines is asked for once more."""
    try:
        log.add_page(page.body)
    except EntryError as error:
        if error.code != "bad_range":
            raise
        again = Page(page.start, page.count, source.page(page.start))
        log.add_page(again.body)
        return again
    return page


def _plan(start: int, until: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and number of entries of each page from ``start`` on that begins before ``until``, in a log of ``size``."""
    while start < until:
        end = page_end(start, size)
        yield start, end - start
        start = end


def _pages_ahead(source: Source, plan: Iterator[tuple[int, int]], ahead: int) -> Generator[Page, None, None]:
    """The planned pages in order, with up to ``ahead`` more under way; a single one needs no thread."""
    first = next(plan, None)
    if first is None:
        return
    second = next(plan, None)
    if second is None:
        yield _fetch(source, *first)
        return
    with ThreadPoolExecutor(max_workers=ahead, thread_name_prefix="page") as pool:
        waiting: deque[Future[Page]] = deque()
        try:
            for start, number in chain((first, second), plan):
                waiting.append(pool.submit(_fetch, source, start, number))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _fetch(source: Source, start: int, count: int) -> Page:
    return Page(start, count, source.page(start))


def _grew(log: TrustedLog, source: Source, verify: Verify) -> bool:
    """Whether the source has a newer checkpoint: the record without payload may just have been superseded."""
    try:
        newer = verify(source.checkpoint())
    except (PeerError, FederationError):
        return False
    if newer.size <= log.offered.size:
        return False
    log.extend_to(newer)
    return True
