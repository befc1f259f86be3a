"""Speed against the peers, side by side in one run; see README.md here."""
