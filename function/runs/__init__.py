"""The whole job in one process and by hand: one run, a person's decision, today's policy against settled shares."""
