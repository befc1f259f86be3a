"""The notes to the papers have a part for every claim, in which every one of its tests is named."""

from dataclasses import replace

import pytest

from ntkcheck import claims
from ntkcheck.report import notes
from ntkcheck.report.notes import Notes

LEDGER = claims.load()
NOTES = notes.load()


def unnamed(found: Notes, claim: claims.Claim) -> list[str]:
    """Tests of a claim that its part of the notes does not name; all where there is no part."""
    part = found.part(claim.id)
    return [test.name for test in claim.tests if part is None or f"<code>{test.name}</code>" not in part.html]


@pytest.mark.parametrize("id", LEDGER)
def test_every_test_of_a_claim_is_named_in_its_part_of_the_notes(id):
    assert NOTES
    assert unnamed(NOTES, LEDGER[id]) == []


def test_a_claim_or_a_test_that_the_notes_lack_is_told():
    claim = LEDGER["MN-3"]
    assert NOTES
    another = replace(claim, tests=(*claim.tests, replace(claim.tests[0], name="another")))
    assert unnamed(NOTES, another) == ["another"]
    assert unnamed(Notes("# Nothing"), claim) == [test.name for test in claim.tests]
