"""The report: the ledger of claims as a folder of pages that open from disk, for those who review the numbers."""

from ntkcheck.report.folder import write
from ntkcheck.report.ledger import Entry, Ledger, collect
from ntkcheck.report.pages import pages

__all__ = ["Entry", "Ledger", "collect", "pages", "write"]
