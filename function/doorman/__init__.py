"""Doorman: an event comes in, is checked against the cloud, decided by policy, performed, and told as events."""
