"""What the report tells of: every claim with its verdict, and whether the records behind it are as they were written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from ntkcheck import claims
from ntkcheck.claims import Checked, Claim, Evidence, Verdict
from ntkcheck.regime import Settings, prepare
from ntkcheck.report.integrity import Altered, altered
from ntkcheck.store import Record, Store, StoreError
from ntkcheck.store.verify import problems

TITLES = {
    "mimicnorm": "MimicNorm",
    "iternorm": "IterNorm",
    "revisiting": "Revisiting Batch Normalization",
    "literature": "Other literature",
}


@dataclass(frozen=True)
class Entry:
    """One claim as the report shows it.

    Attributes:
        verdict: With the claim, the outcomes of its tests and the reason.
        checked: Its answers and their record.
        rests_on: Current records of the measurements that the check used.
        stale: Why the verdict is out of date, or None.
        altered: Records of the check and of what it used that are not as they were written.
        command: What measures it again, to be typed; "" where this version has no check for it.
    """

    verdict: Verdict
    checked: Checked
    rests_on: tuple[Record, ...]
    stale: str | None
    altered: tuple[Altered, ...]
    command: str

    @property
    def claim(self) -> Claim:
        """The claim itself."""
        return self.verdict.claim

    @property
    def paper(self) -> str:
        """Title of the paper, or the name of the user's own file."""
        return TITLES.get(self.claim.paper, self.claim.paper)


@dataclass(frozen=True)
class Ledger:
    """All claims, and the store that the answers come from.

    Attributes:
        entries: In the order of the ledger.
        store: Name of the store's file.
        problems: What in the store is not as it was written, in a sentence each.
        altered: The records among them.
        newest: When the newest of the checks was started, or None.
    """

    entries: tuple[Entry, ...]
    store: str
    problems: tuple[str, ...]
    altered: tuple[Altered, ...]
    newest: str | None


def collect(path: Path, own: Sequence[Path] = ()) -> Ledger:
    """The ledger as the store answers it; nothing is measured.

    Args:
        path: The store's file.
        own: TOML files with claims of one's own.

    Raises:
        ValueError: If there is no such store, or a file of claims is wrong.
        FileNotFoundError: If one of `own` is no file.
        StoreError: If the store cannot be read.
    """
    chosen = claims.load(own)
    if not path.exists():
        raise ValueError(
            f"`store` must name a store with measurements, got {str(path)!r}, which does not exist; make it by "
            f"`ntkcheck claims --store {quote(str(path))} check`, or check the path."
        )
    found_problems = tuple(problems(path))
    changed = altered(path) if found_problems else ()
    with Store(path, read_only=True) as store:
        evidence = Evidence(store, prepare(Settings()), measures=False)
        found = {id: _known(claim, evidence) for id, claim in chosen.items()}
        used = {id: _used(checked, store) for id, (checked, _) in found.items()}
    verdicts = claims.verdicts(chosen, {id: checked.answers for id, (checked, _) in found.items()})
    entries = tuple(
        Entry(verdicts[id], checked, used[id], stale, _of(id, checked, changed), command(verdicts[id].claim, own))
        for id, (checked, stale) in found.items()
    )
    newest = max((entry.checked.record.started for entry in entries if entry.checked.record), default=None)
    return Ledger(entries, path.name, found_problems, changed, newest)


def command(claim: Claim, own: Sequence[Path] = ()) -> str:
    """What measures a claim, to be typed in a checkout; "" where nothing does.

    Args:
        claim: The claim.
        own: The files that the user's claims come from, as the user wrote them.
    """
    if not claim.check:
        return ""
    if claim.command:
        return f"uv run {claim.command}"
    files = [path for path in own if claim.folder and path.resolve() == claim.folder / f"{claim.paper}.toml"]
    option = "".join(f" --own {quote(str(path))}" for path in files)
    return f"uv run ntkcheck claims{option} check {quote(claim.id)}"


def _known(claim: Claim, evidence: Evidence) -> tuple[Checked, str | None]:
    """Answers and staleness; none where a record was changed so that it cannot even be read, which `altered` then tells."""
    try:
        return claims.known(claim, evidence), claims.stale(claim, evidence)
    except StoreError:
        return Checked({}, None), None


def _used(checked: Checked, store: Store) -> tuple[Record, ...]:
    keys = [key for key, _ in claims.rests_on(checked.record)] if checked.record else []
    return tuple(record for key in keys if (record := _find(store, key)))


def _find(store: Store, key: str) -> Record | None:
    try:
        return store.find(key)
    except StoreError:
        return None


def _of(id: str, checked: Checked, changed: tuple[Altered, ...]) -> tuple[Altered, ...]:
    record = checked.record
    keys = {record.key, *(key for key, _ in claims.rests_on(record))} if record else set()
    return tuple(each for each in changed if each.claim == id or each.key in keys)
