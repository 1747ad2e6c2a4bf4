"""Parts I to III: closed forms and proofs, as code. Nothing here needs the rest of a3."""
