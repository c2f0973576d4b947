"""What nodes have said, and the proof that they said it: keys, tokens, trust, append-only logs."""
