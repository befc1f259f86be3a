"""One file per figure: from stored measurements to a picture and the table behind it."""
