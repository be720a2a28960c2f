"""Which group is better, why, and what is open: the rules, and the sentences that tell it."""
