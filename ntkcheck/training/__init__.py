"""Training of networks with any normaliser, as measurements: how the loss goes, what moves, what is learnt."""
