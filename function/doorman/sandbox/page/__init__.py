"""The live page of the sandbox: shares, a timeline of what became of each event, things to do, and a policy to try."""
