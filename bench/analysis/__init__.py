"""Pure analysis over records: rating, utilisation, plausibility, and the summary that every renderer draws from."""
